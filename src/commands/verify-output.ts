/** How a verification is shown: rows of a table for people, events for programs. */
import { CHECKS, type Check } from '../fleet/verify/checks.ts'
import { MARKS } from '../fleet/verify/report.ts'
import type { Verification } from '../fleet/verify/verify.ts'
import { printable } from '../log.ts'

/** Problems and evidence lines of one check on the terminal; the report has all of them. */
const MAX_LINES = 12
const TITLE_COLUMNS: number = Math.max(...Object.values(CHECKS).map((title) => title.length))

/** One row of the table, and beneath it what went wrong. */
export function renderCheck({ verdict, number, title, evidence, problems }: Check): string {
  const summary = evidence[0] ?? ''
  const row = `${MARKS[verdict]} ${String(number).padStart(2)}  ${title.padEnd(TITLE_COLUMNS)}  ${summary}`
  const details = problems.slice(0, MAX_LINES).map((problem) => `      ✗ ${problem}`)
  if (problems.length > MAX_LINES)
    details.push(`      … and ${problems.length - MAX_LINES} more; --report has all`)
  return [row, ...details].map((line) => `${printable(line.trimEnd())}\n`).join('')
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
