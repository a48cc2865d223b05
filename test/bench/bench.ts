/** Runs rows: rounds of alternating order, a warm-up apart, and what comes of the samples. */
import { existsSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../src/errors.ts'
import { atExit } from '../helpers/after-test.ts'
import { median, spread } from '../helpers/statistics.ts'
import { makeFile } from './files.ts'
import { type Bench, type BenchFile, type Contender, GB, nothing, type Row, type Sample } from './model.ts'
import { judge, type NoiseSample, type NoiseVerdict, NoiseWatch, untilQuiet } from './noise.ts'

const MEMORY_DISK = '/dev/shm'
const OURS = 'gguf-swarm'

export interface RunOptions {
  readonly rounds: number
  readonly fileBytes: number
  readonly quick: boolean
  readonly address: string
  readonly contenders: readonly string[]
  /** How long each sample waits for a machine that others leave alone. */
  readonly patienceMs: number
  readonly say: (line: string) => void
}

export interface SideResult {
  /** Null where the row moves no payload. */
  readonly cpuSecondsPerGb: number | null
  readonly cpuSeconds: number
  readonly peakRssBytes: number
}

export interface ContenderResult {
  readonly name: string
  readonly apart: boolean
  /** Median of the samples. */
  readonly value: number
  readonly spread: number
  readonly sides: Readonly<Record<string, SideResult>>
  readonly marks: Readonly<Record<string, number>>
  /** Of each round, in order. */
  readonly values: readonly number[]
}

export interface RowResult {
  readonly row: Omit<Row, 'prepare'>
  readonly contenders: readonly ContenderResult[]
  /** Median over the rounds of ours to the best other of the same round; above 1 is better, whatever the unit. */
  readonly ratio: number | null
  readonly best: string | null
  readonly noise: NoiseVerdict
  readonly problems: readonly string[]
}

/** The bench's folders and files; removed at the end. */
export async function openBench(options: RunOptions): Promise<Bench & AsyncDisposable> {
  const disk = existsSync(MEMORY_DISK) ? MEMORY_DISK : tmpdir()
  const root = await mkdtemp(join(disk, 'gguf-swarm-bench-'))
  const removal = { recursive: true, force: true, maxRetries: 5 }
  const forget = atExit(() => rmSync(root, removal))
  const files = new Map<number, Promise<BenchFile>>()
  let folders = 0
  return {
    address: options.address,
    contenders: options.contenders,
    quick: options.quick,
    rounds: options.rounds,
    async folder(name) {
      const path = join(root, `${name.replaceAll(/\W/g, '-')}-${++folders}`)
      await mkdir(path)
      return path
    },
    file(index = 0) {
      const known = files.get(index) ?? makeFile(join(root, `file-${index}`), index, options.fileBytes)
      files.set(index, known)
      return known
    },
    async [Symbol.asyncDispose]() {
      await rm(root, removal)
      forget()
    },
  }
}

/** Runs one row in full. */
export async function runRow(row: Row, bench: Bench, options: RunOptions): Promise<RowResult> {
  const { rounds, say } = options
  await using ready = await row.prepare(bench).catch((error: unknown) => nothing(messageOf(error)))
  const problems: string[] = [...ready.missing]
  const samples = new Map<Contender, Sample[]>(ready.contenders.map((contender) => [contender, []]))
  const noise: NoiseSample[] = []
  for (let round = 0; round <= rounds; round++) {
    // Every other round backwards, so that nobody always comes after the same neighbour; round 0 warms up.
    const order = round % 2 === 0 ? ready.contenders : ready.contenders.toReversed()
    for (const contender of order) {
      const known = samples.get(contender)
      if (known === undefined) continue
      try {
        if (round > 0 && options.patienceMs > 0) await untilQuiet(options.patienceMs)
        const watch = new NoiseWatch()
        const sample = await contender.run({ check: round === 0 })
        if (round === 0) continue
        known.push(sample)
        const seen = watch.end()
        noise.push(seen)
        say(
          `${row.name} ${round}/${rounds} ${contender.name}: ${sample.value.toPrecision(4)} ${row.unit}` +
            ` (others took ${(seen.foreignShare * 100).toFixed(0)} % of the machine)`,
        )
      } catch (error) {
        problems.push(`${contender.name}: ${messageOf(error)}`)
        say(problems.at(-1)!)
        samples.delete(contender)
      }
    }
  }
  const results = [...samples].filter(([, list]) => list.length > 0).map(resultOf)
  const { prepare: _, ...about } = row
  return { row: about, contenders: results, ...compare(row, results), noise: judge(noise), problems }
}

function resultOf([{ name, apart = false }, samples]: [Contender, readonly Sample[]]): ContenderResult {
  const values = samples.map(({ value }) => value)
  const sides = Object.keys(samples[0]!.sides).map((side): [string, SideResult] => {
    const cpuSeconds = median(samples.map((sample) => sample.sides[side]!.cpuSeconds))
    const bytes = samples[0]!.bytes
    return [
      side,
      {
        cpuSeconds,
        cpuSecondsPerGb: bytes === 0 ? null : (cpuSeconds * GB) / bytes,
        peakRssBytes: Math.max(...samples.map((sample) => sample.sides[side]!.peakRssBytes)),
      },
    ]
  })
  const marks = Object.keys(samples[0]!.marks ?? {}).map((key): [string, number] => [
    key,
    median(samples.map((sample) => sample.marks?.[key] ?? 0)),
  ])
  return {
    name,
    apart,
    value: median(values),
    spread: spread(values),
    sides: Object.fromEntries(sides),
    marks: Object.fromEntries(marks),
    values,
  }
}

function compare(
  { better }: Row,
  results: readonly ContenderResult[],
): { readonly ratio: number | null; readonly best: string | null } {
  const our = results.find(({ name }) => name === OURS)
  const others = results.filter(({ name, apart }) => name !== OURS && !apart)
  if (others.length === 0) return { ratio: null, best: null }
  const best = others.reduce((a, b) => ((better === 'more') === a.value > b.value ? a : b))
  if (our === undefined) return { ratio: null, best: best.name }
  // Pairs of one round: what slowed both cancels out.
  const ratios = our.values.flatMap((value, round) => {
    const other = best.values[round]
    return other === undefined ? [] : [better === 'more' ? value / other : other / value]
  })
  return { ratio: ratios.length === 0 ? null : median(ratios), best: best.name }
}
