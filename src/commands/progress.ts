/**
 * How a download looks: a few lines redrawn in place on a terminal, plain lines now and then elsewhere.
 * Bytes shown are verified bytes; the time left comes from their own pace and is not shown without one.
 */
import stringWidth from 'string-width'
import type { GetState } from '../fleet/getter.ts'
import { formatBytes, printable } from '../log.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'

/** Pace is measured over this long: short enough to follow, long enough not to jump. */
const PACE_WINDOW_MS = 10_000
/** Plain output: one line a download in this time. */
const PLAIN_INTERVAL_MS = 5_000
/** Widths on terminals of 100 columns and more, and on narrower ones, where everything must still fit 80. */
const WIDE = { from: 100, bar: 20, name: 36 } as const
const NARROW = { bar: 8, name: 20 } as const

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
  const { infoHash, length, verifiedBytes, peers, phase, stall } = state
  const widths = columns >= WIDE.from ? WIDE : NARROW
  const name = shorten(printable(state.name ?? infoHash), widths.name)
  const people = `${peers} peer${peers === 1 ? '' : 's'}`
  let line: string
  if (phase === 'verifying') line = `${name}  verifying ${formatBytes(length ?? 0)} on disk`
  else if (length === null) line = `${name}  looking for it, ${people}`
  else {
    const share = length === 0 ? 1 : verifiedBytes / length
    const percent = `${String(Math.floor(share * 100)).padStart(3)} %`
    const amount = `${formatBytes(verifiedBytes)} of ${formatBytes(length)}`
    const rate = pace === null ? '' : `  ${formatBytes(pace)}/s`
    const left =
      pace === null || pace < 1
        ? 'time left unknown'
        : `${formatSeconds((length - verifiedBytes) / pace)} left`
    line = `${name}  ${bar(share, widths.bar)} ${percent}  ${amount}${rate}  ${people}  ${left}`
  }
  const lines = [shorten(line, columns - 1)]
  if (stall !== null)
    lines.push(shorten(`  no new data for ${formatSeconds(stall.seconds)}: ${stall.reason}`, columns - 1))
  return lines
}

const bar = (share: number, columns: number): string => {
  const full = Math.floor(share * columns)
  return `[${'#'.repeat(full)}${'.'.repeat(columns - full)}]`
}

/** Cuts by what a terminal shows: a Chinese character takes two columns, a combining accent none. */
function shorten(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text
  let kept = ''
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(kept + segment) > columns - 1) break
    kept += segment
  }
  return `${kept}…`
}

/** Shows the states of all downloads of one command. */
export class ProgressDisplay {
  readonly #write: (text: string) => void
  readonly #isInteractive: boolean
  readonly #columns: () => number
  readonly #states = new Map<InfoHash, { state: GetState; pace: Pace; printedAt: number; said: string }>()
  #drawnLines = 0

  constructor(options: { write: (text: string) => void; isInteractive: boolean; columns: () => number }) {
    this.#write = options.write
    this.#isInteractive = options.isInteractive
    this.#columns = options.columns
  }

  update(state: GetState): void {
    const now = Date.now()
    const known = this.#states.get(state.infoHash) ?? { state, pace: new Pace(), printedAt: 0, said: '' }
    known.state = state
    known.pace.add(now, state.verifiedBytes)
    this.#states.set(state.infoHash, known)
    if (this.#isInteractive) {
      this.#draw()
      return
    }
    const topic = `${state.phase}:${state.stall?.reason ?? ''}`
    if (now - known.printedAt < PLAIN_INTERVAL_MS && topic === known.said) return
    Object.assign(known, { printedAt: now, said: topic })
    for (const line of renderState(state, known.pace.bytesPerSecond(), Number.POSITIVE_INFINITY))
      this.#write(`${line}\n`)
  }

  /** A download ended; its line goes, and `line` stays above the others. */
  finish(infoHash: InfoHash, line: string): void {
    this.#states.delete(infoHash)
    this.print(line)
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

  #draw(): void {
    const lines = [...this.#states.values()].flatMap(({ state, pace }) =>
      renderState(state, pace.bytesPerSecond(), this.#columns()),
    )
    const up = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\r` : ''
    this.#write(`${up}\x1b[J${lines.map((line) => `${line}\n`).join('')}`)
    this.#drawnLines = lines.length
  }
}
