/** How a verification is shown: rows of a table for people, events for programs. */
import { CHECKS, type Check } from '../fleet/verify/checks.ts'
import { MARKS } from '../fleet/verify/report.ts'
import type { Verification } from '../fleet/verify/verify.ts'
import { printable } from '../log.ts'
import { wrap } from './table.ts'

/** Problems and evidence lines of one check on the terminal; the report has all of them. */
const MAX_LINES = 12
const TITLE_COLUMNS: number = Math.max(...Object.values(CHECKS).map((title) => title.length))

const DETAIL = '      '
/** Below this the evidence has no column of its own. */
const MIN_EVIDENCE_COLUMNS = 30

/** One row of the table, and beneath it what went wrong; evidence goes on in its own column where a terminal ends. */
export function renderCheck(
  { verdict, number, title, evidence, problems }: Check,
  columns: number = Number.POSITIVE_INFINITY,
): string {
  const head = `${MARKS[verdict]} ${String(number).padStart(2)}  ${title.padEnd(TITLE_COLUMNS)}  `
  const isRoomy = columns - head.length >= MIN_EVIDENCE_COLUMNS
  const indent = isRoomy ? ' '.repeat(head.length) : DETAIL
  const lines = wrap(evidence[0] ?? '', columns - indent.length).map((line) => indent + line)
  const rows = isRoomy ? [head + (lines[0] ?? '').slice(head.length), ...lines.slice(1)] : [head, ...lines]
  const details = problems
    .slice(0, MAX_LINES)
    .flatMap((problem) => wrap(`✗ ${problem}`, columns - DETAIL.length, '  ').map((line) => DETAIL + line))
  if (problems.length > MAX_LINES)
    details.push(`${DETAIL}… and ${problems.length - MAX_LINES} more; --report has all`)
  return [...rows, ...details].map((line) => `${printable(line.trimEnd())}\n`).join('')
}

/** One item of the checklist as an event. */
export function checkEvent({ id, number, title, verdict, evidence, problems, repeat, tookMs }: Check) {
  return { event: 'check', id, number, title, verdict, evidence, problems, repeat, tookMs }
}

/** The last event of a verification. */
export function verdictEvent({ ok, checks, picture, tookMs }: Verification, report: string | null) {
  const of = (verdict: Check['verdict']): number => checks.filter((check) => check.verdict === verdict).length
  const counts = { passed: of('pass'), failed: of('fail'), skipped: of('skipped') }
  const { hosts, shards, copies } = picture
  const seen = { hosts: hosts.length, shards: shards.length, copies: copies.length }
  return { event: 'verdict', ok, ...counts, ...seen, tookMs, report }
}
