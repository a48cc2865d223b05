/**
 * The log lines of the report, counted: for four hosts with four shards each, 16 that seed, 4 that sum up, 16 that
 * register and 4 that say that all is registered. Pure: lines in, counts out.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { type Finding, outOf, skip } from './checks.ts'
import type { Picture } from './picture.ts'
import { quote } from './repeat.ts'

/** What one host, or one file, has logged: lines for people, or the events of `--json`. */
export interface HostLog {
  readonly name: string
  readonly lines: readonly string[]
}

/** How often each line was there, over all logs. */
export interface LogCounts {
  /** `✓ Seeding primary shard`, once a host and shard. */
  readonly seeding: number
  /** Hosts with `Total files available for seeding`. */
  readonly totals: number
  /** `✓ Registered torrent file in DHT`, once a host and shard. */
  readonly registered: number
  /** Hosts with `✓ All torrent files registered in DHT`. */
  readonly allRegistered: number
}

const SEEDING = /\[TORRENT\] ✓ Seeding primary shard: .* \(hash: ([0-9a-f]{40})\)/
const TOTAL = /\[TORRENT\] Total files available for seeding: \d+/
const REGISTERED = /\[TORRENT\] ✓ Registered torrent file in DHT: .* \(hash: ([0-9a-f]{40})\)/
const ALL_REGISTERED = /\[TORRENT\] ✓ All torrent files registered in DHT/

interface LogFacts {
  readonly seeding: Set<string>
  readonly registered: Set<string>
  hasTotal: boolean
  hasAll: boolean
  /** `--json` has no lines for the two sums: they are worked out from its events. */
  isEvents: boolean
}

/** Counts the lines of each log that are about one of `shards`; a line that a host repeats counts once. */
export function countLogLines(logs: readonly HostLog[], shards: ReadonlySet<InfoHash>): LogCounts {
  let [seeding, totals, registered, allRegistered] = [0, 0, 0, 0]
  for (const { lines } of logs) {
    const facts = readLog(lines)
    const seeded = [...facts.seeding].filter((hash) => shards.has(hash as InfoHash))
    const known = seeded.filter((hash) => facts.registered.has(hash))
    seeding += seeded.length
    registered += known.length
    if (facts.hasTotal || (facts.isEvents && seeded.length > 0)) totals++
    if (facts.hasAll || (facts.isEvents && seeded.length > 0 && known.length === seeded.length))
      allRegistered++
  }
  return { seeding, totals, registered, allRegistered }
}

/** Are the lines there that the picture asks for? One log a host. */
export function checkLogLines(logs: readonly HostLog[] | null, { hosts, copies, shards }: Picture): Finding {
  if (logs === null) return skip('not checked (no log given)')
  if (copies.length === 0) return skip('no shard is offered')
  const counts = countLogLines(logs, new Set(shards.map(({ shard }) => shard.infoHash)))
  const wanted: LogCounts = {
    seeding: copies.length,
    totals: hosts.length,
    registered: copies.length,
    allRegistered: hosts.length,
  }
  const problems: string[] = []
  if (logs.length < hosts.length) {
    problems.push(
      `${logs.length} log(s) for ${hosts.length} hosts; give one of each host (--log FILE FILE …)`,
    )
  }
  for (const [key, line] of Object.entries(LINES) as [keyof LogCounts, string][]) {
    if (counts[key] !== wanted[key]) {
      problems.push(
        `"${line}": ${counts[key]} where the catalogues ask for ${wanted[key]}; the log of a host is missing or cut`,
      )
    }
  }
  const summary = (Object.keys(LINES) as (keyof LogCounts)[])
    .map((key) => outOf(counts[key], wanted[key]))
    .join(' + ')
  const evidence = [
    `${summary} lines (seeding + sums + registered + all registered) in ${logs.length} logs`,
    ...(Object.entries(LINES) as [keyof LogCounts, string][]).map(
      ([key, line]) => `"${line}": ${counts[key]}`,
    ),
  ]
  const repeat = Object.values(LINES).map(
    (line) => `grep -c '${line}' ${logs.map(({ name }) => quote(name)).join(' ')}`,
  )
  return { evidence, problems, repeat }
}

const LINES: Readonly<Record<keyof LogCounts, string>> = {
  seeding: '✓ Seeding primary shard',
  totals: 'Total files available for seeding',
  registered: '✓ Registered torrent file in DHT',
  allRegistered: '✓ All torrent files registered in DHT',
}

function readLog(lines: readonly string[]): LogFacts {
  const facts: LogFacts = {
    seeding: new Set(),
    registered: new Set(),
    hasTotal: false,
    hasAll: false,
    isEvents: false,
  }
  for (const line of lines) {
    if (line.startsWith('{')) readEvent(line, facts)
    const seeding = SEEDING.exec(line)?.[1]
    const registered = REGISTERED.exec(line)?.[1]
    if (seeding !== undefined) facts.seeding.add(seeding)
    if (registered !== undefined) facts.registered.add(registered)
    facts.hasTotal ||= TOTAL.test(line)
    facts.hasAll ||= ALL_REGISTERED.test(line)
  }
  return facts
}

function readEvent(line: string, facts: LogFacts): void {
  let value: { readonly event?: unknown; readonly infoHash?: unknown; readonly nodes?: unknown }
  try {
    value = JSON.parse(line) as typeof value
  } catch {
    return // cut at the end of a log
  }
  const { event, infoHash, nodes } = value
  if (typeof infoHash !== 'string') return
  facts.isEvents = true
  if (event === 'seeding') facts.seeding.add(infoHash)
  if (event === 'announced' && Number(nodes) > 0) facts.registered.add(infoHash)
}
