/**
 * The propagation test report: what was there, what was checked, what came out, and the commands that show the
 * same again. Markdown; names come from strangers and are escaped.
 */
import { VERSION } from '../../config.ts'
import { countOf, formatBytes, printable } from '../../log.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import type { Check, CheckVerdict } from './checks.ts'
import type { Picture } from './picture.ts'
import type { Verification } from './verify.ts'

/** What the report says of the circumstances. */
export interface ReportContext {
  /** The fleet in words. */
  readonly fleet: string
  readonly rendezvous: string
  readonly bootstraps: readonly PeerAddress[]
  /** How verify was run. */
  readonly settings: readonly string[]
}

/** The mark of a verdict. */
export const MARKS: Readonly<Record<CheckVerdict, string>> = { pass: '✓', fail: '✗', skipped: '–' }

/** `9 of 10 checks passed, 1 failed: 3 Shards are whole, byte for byte`. */
export function verdictLine({ ok, checks, tookMs }: Omit<Verification, 'picture' | 'startedAt'>): string {
  const of = (verdict: CheckVerdict): readonly Check[] => checks.filter((check) => check.verdict === verdict)
  const names = of('fail').map(({ number, title }) => `${number} ${title}`)
  const parts = [
    `${of('pass').length} of ${checks.length} checks passed`,
    ...(names.length > 0 ? [`${names.length} failed (${names.join('; ')})`] : []),
    ...(of('skipped').length > 0 ? [`${of('skipped').length} not checked`] : []),
  ]
  return `${ok ? '✓ VERIFIED' : '✗ NOT VERIFIED'}: ${parts.join(', ')}, in ${(tookMs / 1000).toFixed(1)} s`
}

/** The whole report. */
export function renderReport(verification: Verification, context: ReportContext): string {
  const { checks, picture, startedAt } = verification
  return [
    '# Propagation test report',
    '',
    `**${md(verdictLine(verification))}**`,
    '',
    `Made ${startedAt.toISOString()} by gguf-swarm ${VERSION} (\`gguf-swarm verify\`) against the live fleet.`,
    '',
    ...configuration(picture, context),
    ...hostsTable(picture),
    ...shardsTable(picture),
    '## Checklist',
    '',
    '| | # | Check | Evidence |',
    '|---|---|---|---|',
    ...checks.map(({ verdict, number, title, evidence, problems }) =>
      row([MARKS[verdict], String(number), title, evidence[0] ?? problems[0] ?? '']),
    ),
    '',
    ...checks.flatMap(section),
    '## Verdict',
    '',
    md(verdictLine(verification)),
    '',
  ].join('\n')
}

function configuration(
  { hosts, shards, copies, fetching, takenAt }: Picture,
  context: ReportContext,
): string[] {
  return [
    '## Configuration',
    '',
    `- Fleet: ${md(context.fleet)}; rendezvous infohash \`${context.rendezvous}\``,
    `- Bootstrap nodes (UDP): ${context.bootstraps.map(formatPeerAddress).join(', ')}`,
    `- ${countOf(hosts.length, 'host')}, ${countOf(shards.length, 'shard')}, ${copies.length} whole copies, ` +
      `${fetching.length} being fetched (picture of ${takenAt.toISOString()})`,
    ...context.settings.map((setting) => `- ${md(setting)}`),
    '',
  ]
}

function hostsTable({ hosts }: Picture): string[] {
  return [
    '## Hosts',
    '',
    '| Host | BitTorrent (TCP) | Host id | Version | Seeds | Replicates |',
    '|---|---|---|---|---|---|',
    ...hosts.map(({ info, address, shards }) => {
      const seeds = [...shards.values()].filter(({ state }) => state === 'seeding').length
      return row([
        info.name,
        address,
        info.hostId,
        info.version,
        String(seeds),
        info.replicating ? 'yes' : 'no',
      ])
    }),
    '',
  ]
}

function shardsTable({ shards }: Picture): string[] {
  return [
    '## Shards',
    '',
    '| Shard | Size | Infohash (BitTorrent v1) | SHA-256 | Whole copies at |',
    '|---|---|---|---|---|',
    ...shards.map(({ shard, hosts }) => {
      const size = `${formatBytes(shard.length)} (${shard.length} bytes)`
      const where = `${hosts.length}: ${hosts.map(({ info }) => info.name).join(', ')}`
      return row([shard.name, size, shard.infoHash, shard.sha256, where])
    }),
    '',
  ]
}

function section({ number, title, verdict, evidence, problems, repeat, tookMs }: Check): string[] {
  return [
    `### ${MARKS[verdict]} ${number}. ${title}`,
    '',
    ...problems.map((problem) => `- **✗ ${md(problem)}**`),
    ...evidence.map((line) => `- ${md(line)}`),
    ...(tookMs >= 1 ? [`- took ${tookMs} ms`] : []),
    '',
    ...(repeat.length > 0 ? ['To see it again:', '', '```sh', ...repeat.map(printable), '```', ''] : []),
  ]
}

const row = (cells: readonly string[]): string => `| ${cells.map(md).join(' | ')} |`

/** Text as it is, whatever is in it: no markup, no table border, no HTML, no control characters. */
export function md(text: string): string {
  return printable(text)
    .replace(/[\\`*[\]|~]|\b_|_\b/g, (character) => `\\${character}`)
    .replace(/[<>&]/g, (character) => `&#${character.codePointAt(0)};`)
}
