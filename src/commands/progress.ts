/**
 * How a download looks: a few lines redrawn in place on a terminal, plain lines now and then elsewhere.
 * Bytes shown are verified bytes; the time left comes from their own pace and is not shown without one.
 */
import stringWidth from 'string-width'
import type { GetState } from '../fleet/download/getter.ts'
import { parseShardName } from '../gguf/shards.ts'
import { formatBytes, printable } from '../log.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'

/** Pace is measured over this long: short enough to follow, long enough not to jump. */
const PACE_WINDOW_MS = 10_000
/** Plain output: one line a download in this time. */
const PLAIN_INTERVAL_MS = 5_000
/** Widths on terminals of 100 columns and more, and on narrower ones: without a bar, what matters fits 80. */
const WIDE = { from: 100, bar: 20, name: 36 } as const
const NARROW = { bar: 0, name: 20 } as const

/** A duration for people: the two largest units. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** Verified bytes a second over the last while, per download. */
export class Pace {
  readonly #samples: { readonly at: number; readonly bytes: number }[] = []

  add(at: number, bytes: number): void {
    this.#samples.push({ at, bytes })
    while ((this.#samples[0]?.at ?? at) < at - PACE_WINDOW_MS) this.#samples.shift()
  }

  /** null until there is something to measure. */
  bytesPerSecond(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (first === undefined || last === undefined || last.at - first.at < 500) return null
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at)
  }
}

/** One download in one line, and a second one when nothing moves. Pure: everything it shows is given. */
export function renderState(state: GetState, pace: number | null, columns: number): readonly string[] {
  const { infoHash, length, verifiedBytes, peers, webSeeds, phase, stall } = state
  const widths = columns >= WIDE.from ? WIDE : NARROW
  const name = shortName(state.name ?? infoHash, widths.name)
  const servers = webSeeds === 0 ? '' : `, ${webSeeds} web seed${webSeeds === 1 ? '' : 's'}`
  const people = `${peers} peer${peers === 1 ? '' : 's'}${servers}`
  let line: string
  if (phase === 'verifying') line = `${name}  verifying ${formatBytes(length ?? 0)} on disk`
  else if (length === null) line = `${name}  looking for it, ${people}`
  else {
    const share = length === 0 ? 1 : verifiedBytes / length
    const left =
      pace === null || pace < 1
        ? 'time left unknown'
        : `${formatSeconds((length - verifiedBytes) / pace)} left`
    const rate = pace === null ? [] : [`${formatBytes(pace)}/s`]
    const amount = `${formatBytes(verifiedBytes)} of ${formatBytes(length)}`
    const parts = [name, gauge(share, widths.bar), amount, ...rate]
    line = [...parts, people, left].join('  ')
    if (widthOf(line) >= columns) line = [...parts, left].join('  ')
  }
  const lines = [shorten(line, columns - 1)]
  if (stall !== null)
    lines.push(shorten(`  no new data for ${formatSeconds(stall.seconds)}: ${stall.reason}`, columns - 1))
  return lines
}

/** A model's shards together, while several downloads are shown above it. */
export interface Total {
  readonly name: string
  readonly shards: number
  readonly doneShards: number
  readonly verifiedBytes: number
  readonly length: number
}

/** A model in one line. */
export function renderTotal(total: Total, pace: number | null, columns: number): string {
  const { shards, doneShards, verifiedBytes, length } = total
  const widths = columns >= WIDE.from ? WIDE : NARROW
  const share = length === 0 ? 1 : verifiedBytes / length
  const rate = pace === null || widths === NARROW ? [] : [`${formatBytes(pace)}/s`]
  const left = pace === null || pace < 1 ? [] : [`${formatSeconds((length - verifiedBytes) / pace)} left`]
  const parts = [
    shorten(printable(total.name), widths.name),
    gauge(share, widths.bar),
    `${doneShards} of ${shards} shards`,
    `${formatBytes(verifiedBytes)} of ${formatBytes(length)}`,
  ]
  return shorten([...parts, ...rate, ...left].join('  '), columns - 1)
}

/** The shards of a set differ at the end of their names, where long ones are cut. */
function shortName(name: string, columns: number): string {
  const split = widthOf(printable(name)) > columns ? parseShardName(name) : null
  const short = split === null ? name : `${split.number}/${split.count} ${split.prefix}`
  return shorten(printable(short), columns)
}

/** A bar, where there is room for one, and the share in percent. */
export function gauge(share: number, columns: number): string {
  const percent = `${String(Math.floor(share * 100)).padStart(3)} %`
  return columns === 0 ? percent : `${bar(share, columns)} ${percent}`
}

const bar = (share: number, columns: number): string => {
  const full = Math.floor(share * columns)
  return `[${'#'.repeat(full)}${'.'.repeat(columns - full)}]`
}

/** Columns a text takes on a terminal. */
export const widthOf = (text: string): number => stringWidth(text)

/** Cuts by what a terminal shows: a Chinese character takes two columns, a combining accent none. */
export function shorten(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text
  let kept = ''
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(kept + segment) > columns - 1) break
    kept += segment
  }
  return `${kept}…`
}

/** A model that is followed: its shards by infohash, and which of them are done. */
interface Followed {
  readonly name: string
  readonly lengths: ReadonlyMap<InfoHash, number>
  readonly done: Set<InfoHash>
  readonly pace: Pace
  printedAt: number
}

/** Shows the states of all downloads of one command. */
export class ProgressDisplay {
  readonly #write: (text: string) => void
  readonly #isInteractive: boolean
  readonly #columns: () => number
  /** Milliseconds of a clock that nobody sets. */
  readonly #now: () => number
  readonly #states = new Map<InfoHash, { state: GetState; pace: Pace; printedAt: number; said: string }>()
  readonly #followed: Followed[] = []
  #drawnLines = 0

  constructor(options: {
    write: (text: string) => void
    isInteractive: boolean
    columns: () => number
    now?: () => number
  }) {
    this.#now = options.now ?? (() => performance.now())
    this.#write = options.write
    this.#isInteractive = options.isInteractive
    this.#columns = options.columns
  }

  /** From now on the shards of a model are also summed up in a line of their own. */
  follow(name: string, shards: readonly { readonly infoHash: InfoHash; readonly length: number }[]): void {
    const lengths = new Map(shards.map(({ infoHash, length }) => [infoHash, length]))
    this.#followed.push({ name, lengths, done: new Set(), pace: new Pace(), printedAt: this.#now() })
  }

  update(state: GetState): void {
    const now = this.#now()
    const never = { state, pace: new Pace(), printedAt: Number.NEGATIVE_INFINITY, said: '' }
    const known = this.#states.get(state.infoHash) ?? never
    known.state = state
    known.pace.add(now, state.verifiedBytes)
    this.#states.set(state.infoHash, known)
    for (const followed of this.#followed) followed.pace.add(now, this.#totalOf(followed).verifiedBytes)
    if (this.#isInteractive) {
      this.#draw()
      return
    }
    for (const followed of this.#followed) {
      if (now - followed.printedAt >= PLAIN_INTERVAL_MS) this.#printTotal(followed)
    }
    const topic = `${state.phase}:${state.stall?.reason ?? ''}`
    if (now - known.printedAt < PLAIN_INTERVAL_MS && topic === known.said) return
    Object.assign(known, { printedAt: now, said: topic })
    for (const line of renderState(state, known.pace.bytesPerSecond(), Number.POSITIVE_INFINITY))
      this.#write(`${line}\n`)
  }

  /** A download ended; its line goes, and `line` stays above the others. */
  finish(infoHash: InfoHash, line: string, isDone = true): void {
    this.#states.delete(infoHash)
    for (const { lengths, done } of this.#followed) if (isDone && lengths.has(infoHash)) done.add(infoHash)
    this.print(line)
  }

  /** A model ended, whole or not; its line goes. */
  unfollow(name: string): void {
    const at = this.#followed.findIndex((followed) => followed.name === name)
    if (at >= 0) this.#followed.splice(at, 1)
  }

  /** Prints a line that stays, above what is redrawn. */
  print(line: string): void {
    this.clear()
    this.#write(`${printable(line)}\n`)
    if (this.#isInteractive) this.#draw()
  }

  /** Removes the redrawn lines. */
  clear(): void {
    if (this.#drawnLines > 0) this.#write(`\x1b[${this.#drawnLines}A\r\x1b[J`)
    this.#drawnLines = 0
  }

  #totalOf({ name, lengths, done }: Followed): Total {
    let [verifiedBytes, length] = [0, 0]
    for (const [infoHash, bytes] of lengths) {
      length += bytes
      verifiedBytes += done.has(infoHash) ? bytes : (this.#states.get(infoHash)?.state.verifiedBytes ?? 0)
    }
    return { name, shards: lengths.size, doneShards: done.size, verifiedBytes, length }
  }

  #printTotal(followed: Followed): void {
    followed.printedAt = this.#now()
    const pace = followed.pace.bytesPerSecond()
    this.#write(`${renderTotal(this.#totalOf(followed), pace, Number.POSITIVE_INFINITY)}\n`)
  }

  #draw(): void {
    const columns = this.#columns()
    const lines = [...this.#states.values()].flatMap(({ state, pace }) =>
      renderState(state, pace.bytesPerSecond(), columns),
    )
    for (const followed of this.#followed) {
      lines.push(renderTotal(this.#totalOf(followed), followed.pace.bytesPerSecond(), columns))
    }
    const up = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\r` : ''
    this.#write(`${up}\x1b[J${lines.map((line) => `${line}\n`).join('')}`)
    this.#drawnLines = lines.length
  }
}
