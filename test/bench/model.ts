/** The words of the bench: what a row, a contender and a sample are. */

/** What one process (its children included) cost. */
export interface Cost {
  readonly cpuSeconds: number
  readonly peakRssBytes: number
}

/** One measurement of one contender. */
export interface Sample {
  /** In the row's unit. */
  readonly value: number
  /** Cost of each side, by its role: `get`, `seed`, `create`, … */
  readonly sides: Readonly<Record<string, Cost>>
  /** Bytes of payload that the costs are for; 0 where a cost per GB says nothing. */
  readonly bytes: number
  /** Anything else worth keeping in the JSON: milliseconds, mostly. */
  readonly marks?: Readonly<Record<string, number>>
}

export interface Contender {
  readonly name: string
  /** The row's figure for it is not compared: a part of the work only, or more than the work. */
  readonly apart?: boolean
  /** One sample; `check` is set in the warm-up, which looks at every byte that was delivered. */
  run(round: { readonly check: boolean }): Promise<Sample>
}

/** A row that is set up: its contenders share what was set up, such as the one seeder all of them fetch from. */
export interface ReadyRow extends AsyncDisposable {
  readonly contenders: readonly Contender[]
  /** Contenders that are not there, with the reason. */
  readonly missing: readonly string[]
}

/** A row that cannot be set up here. */
export function nothing(reason: string): ReadyRow {
  return { contenders: [], missing: [reason], async [Symbol.asyncDispose]() {} }
}

export interface Row {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly better: 'more' | 'less'
  /** Ours to the best of the others, as the project wants it; a ratio in the direction of `better`. */
  readonly target: number | null
  /** What ours must not exceed, in the row's unit, where there is nobody to compare with. */
  readonly limit?: number
  /** Marks that the table shows too. */
  readonly shown?: readonly string[]
  /** Left out of `--quick`: it takes minutes. */
  readonly slow?: boolean
  prepare(bench: Bench): Promise<ReadyRow>
}

/** A file to move, and its torrent. */
export interface BenchFile {
  readonly path: string
  readonly folder: string
  readonly name: string
  readonly length: number
  readonly pieceLength: number
  readonly infoHash: string
  readonly torrentFile: string
}

/** What every row is given. */
export interface Bench {
  /** An address of this machine that every client dials (Transmission refuses 127.0.0.0/8). */
  readonly address: string
  /** A new empty folder on the memory disk; all are removed at the end. */
  folder(name: string): Promise<string>
  /** A shard of the bench's usual length, the same all through the run; `index` gives others of that length. */
  file(index?: number): Promise<BenchFile>
  /** Only these contenders, when not empty. */
  readonly contenders: readonly string[]
  readonly quick: boolean
  /** How often each contender runs, besides once to warm up. */
  readonly rounds: number
}

export const GB = 1e9
