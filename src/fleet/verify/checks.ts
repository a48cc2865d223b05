/**
 * The checklist: what is checked, in which order, and what a check says when it is over. Evidence is figures
 * and addresses that a person can look up again; problems say what is wrong, where, and what to do.
 */
import { SwarmError } from '../../errors.ts'
import { countOf } from '../../log.ts'

/** The items, in their order; the title is what holds when it passes. */
export const CHECKS = {
  bootstrap: 'Bootstrap nodes answer',
  reachable: 'Every host is reachable',
  whole: 'Shards are whole, byte for byte',
  seeding: 'Each host seeds what it says',
  registered: 'Every infohash is registered in the DHT',
  routing: 'DHT routing is sound',
  coordinator: 'The coordinator sees every host',
  names: 'Names are unique and models complete',
  download: 'A shard is found by DHT and downloaded',
  'log-lines': 'The log lines are there',
} as const

/** One item's name. */
export type CheckId = keyof typeof CHECKS

/** `skipped` is what could not be looked at; it is never taken for a pass. */
export type CheckVerdict = 'pass' | 'fail' | 'skipped'

/** One item, decided. */
export interface Check {
  readonly id: CheckId
  /** Its place in the list, from 1. */
  readonly number: number
  readonly title: string
  readonly verdict: CheckVerdict
  /** Figures and addresses; the first line is the summary. */
  readonly evidence: readonly string[]
  /** What is wrong and what to do; empty unless it failed. */
  readonly problems: readonly string[]
  /** Commands that show the same to a person. */
  readonly repeat: readonly string[]
  readonly tookMs: number
}

/** What the work of one item gives; it has failed when there is a problem. */
export interface Finding {
  readonly evidence: readonly string[]
  readonly problems: readonly string[]
  readonly repeat: readonly string[]
  /** Why it could not be looked at. */
  readonly skipped?: string
}

/** Does one item's work; what it throws is its problem, but for an abort. */
export async function runCheck(
  id: CheckId,
  signal: AbortSignal,
  work: () => Finding | Promise<Finding>,
): Promise<Check> {
  const startedAt = performance.now()
  const number = Object.keys(CHECKS).indexOf(id) + 1
  const decided = (verdict: CheckVerdict, { evidence, problems, repeat }: Finding): Check => {
    const tookMs = Math.round(performance.now() - startedAt)
    return { id, number, title: CHECKS[id], verdict, evidence, problems, repeat, tookMs }
  }
  try {
    const finding = await work()
    if (finding.problems.length > 0) return decided('fail', finding)
    if (finding.skipped === undefined) return decided('pass', finding)
    return decided('skipped', { ...finding, evidence: [finding.skipped, ...finding.evidence] })
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof SwarmError)) throw error
    return decided('fail', { evidence: [], problems: [error.message], repeat: [] })
  }
}

/** A finding that says why nothing could be looked at. */
export const skip = (why: string): Finding => ({ evidence: [], problems: [], repeat: [], skipped: why })

/** `3/4`. */
export const outOf = (count: number, all: number): string => `${count}/${all}`

/** Of a host whose BitTorrent port does not answer, the DHT port is not known. */
export const notKnown = (count: number): string =>
  count === 0 ? '' : ` (${countOf(count, 'port')} not known)`

/** Times for people: two digits or more. */
export function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** The least and the greatest of some times. */
export function formatSpan(times: readonly number[]): string {
  if (times.length === 0) return '–'
  const [least, greatest] = [Math.min(...times), Math.max(...times)]
  return times.length === 1 ? formatMs(least) : `${formatMs(least)} to ${formatMs(greatest)}`
}
