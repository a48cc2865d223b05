/**
 * A fleet's snapshot as lines for a terminal of any width: what is wrong first, then hosts, then models with their
 * shards. Pure; every text that comes from a member is made printable here.
 */
import type { Alarm, FleetStatus, HostStatus, ModelStatus, ShardStatus } from '../fleet/status.ts'
import { formatShardName } from '../gguf/shards.ts'
import { formatBytes, printable } from '../log.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { formatSeconds, gauge, shorten } from './progress.ts'
import { type Cell, type Column, type Look, renderTable, type Style, styled, wrap } from './table.ts'

/** Alarms of one kind that are told one by one; more of the same are counted. */
const ALARMS_OF_A_KIND = 3
const BAR_COLUMNS = 10

/** How it is to look, and what is too few. */
export interface TableOptions extends Look {
  /** Fewer whole copies than this are marked. */
  readonly wantedReplicas: number
  /** Rows of the terminal when all must fit; null when there may be any number of lines. */
  readonly rows: number | null
  /** Milliseconds since 1970, for how long ago something was. */
  readonly now: number
}

/** What of a snapshot is shown. */
interface Detail {
  readonly shards: 'all' | 'notable' | 'none'
  readonly alarms: 'all' | 'short'
}

/** From everything to what matters most, for terminals with ever fewer rows. */
const DETAILS: readonly Detail[] = [
  { shards: 'all', alarms: 'all' },
  { shards: 'notable', alarms: 'all' },
  { shards: 'notable', alarms: 'short' },
  { shards: 'none', alarms: 'short' },
]

/** The lines of a snapshot: as much of it as fits. */
export function renderFleet(status: FleetStatus, options: TableOptions): readonly string[] {
  const { rows } = options
  let lines: readonly string[] = []
  for (const detail of DETAILS) {
    lines = [
      ...fleetLines(status, options),
      ...alarmLines(status.alarms, options, detail),
      ...hostLines(status.hosts, options),
      ...modelLines(status, options, detail),
    ]
    if (rows === null || lines.length <= rows) return lines
  }
  const shown = Math.max(0, (rows ?? 0) - 1)
  const note = `… ${lines.length - shown} more lines; a larger window shows them`
  return [...lines.slice(0, shown), dim(shorten(note, options.columns - 1), options)]
}

const dim = (text: string, look: Look): string => styled({ text, style: 'dim' }, look)

const count = (number: number, noun: string, plural = `${noun}s`): string =>
  `${number} ${number === 1 ? noun : plural}`

const NO_BREAK = '\u00a0'

/** Wrapped lines in one style; a number stays with its unit, later lines are indented. */
function flow(text: string, style: Style | null, look: Look): readonly string[] {
  const bound = text.replace(/(\d) ([KMGT]?B|s|min|h|d)\b/g, `$1${NO_BREAK}$2`)
  return wrap(bound, look.columns, '  ')
    .map((line) => line.replaceAll(NO_BREAK, ' '))
    .map((line) => (style === null ? line : styled({ text: line, style }, look)))
}

/** For how long: the largest unit, and the next from an hour on. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return formatSeconds(seconds)
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`
}

function fleetLines({ fleet, coordinator, totals }: FleetStatus, look: Look): readonly string[] {
  const { hostsOnline, hostsLost, models, wholeModels, shards, copies } = totals
  const name = fleet.name === null ? 'keyed fleet' : `open fleet ${printable(fleet.name)}`
  const hosts = `${count(hostsOnline, 'host')} online${hostsLost > 0 ? `, ${hostsLost} lost` : ''}`
  const parts = [
    hosts,
    `${wholeModels} of ${count(models, 'model')} whole`,
    `${count(shards, 'shard')} (${formatBytes(totals.bytes)})`,
    count(copies, 'whole copy', 'whole copies'),
    `up ${rate(totals.uploadBytesPerSecond)}`,
    `down ${rate(totals.downloadBytesPerSecond)}`,
  ]
  // Parts stay together where the line breaks.
  const joined = parts.map((part) => part.replaceAll(' ', NO_BREAK)).join(', ')
  const lines = [...flow(name, 'bold', look), ...flow(joined, null, look)]
  const warn = (text: string): void => void lines.push(...flow(`! ${text}`, 'yellow', look))
  if (coordinator.isolated) warn('no DHT node answers: new hosts cannot be found')
  const refused = Object.entries(coordinator.turnedAway).map(([why, times]) => `${times} × ${printable(why)}`)
  if (refused.length > 0) warn(`peers turned away: ${refused.join(', ')}`)
  return lines
}

const rate = (bytesPerSecond: number): string => `${formatBytes(bytesPerSecond)}/s`

function alarmLines(alarms: readonly Alarm[], options: TableOptions, detail: Detail): readonly string[] {
  const lines: string[] = []
  for (const [kind, ofKind] of Map.groupBy(alarms, (alarm) => alarm.kind)) {
    const isCritical = ofKind[0]?.severity === 'critical'
    const most = detail.alarms === 'short' ? 1 : ALARMS_OF_A_KIND
    const told = kind === 'few-seeds' && ofKind.length > 1 ? [] : ofKind.slice(0, most)
    const texts = told.map(
      ({ message, since }) => `${message} (${formatAge(options.now - Date.parse(since))} ago)`,
    )
    const more = ofKind.length - told.length
    if (more > 0) texts.push(moreAlarms(kind, more, options))
    for (const text of texts) {
      const marked = `${isCritical ? '✗' : '!'} ${text}`
      const short = detail.alarms === 'short' ? shorten(marked, options.columns - 1) : marked
      lines.push(...flow(short, isCritical ? 'red' : 'yellow', options))
    }
  }
  return lines.length === 0 ? [] : ['', ...lines]
}

function moreAlarms(kind: Alarm['kind'], more: number, { wantedReplicas }: TableOptions): string {
  if (kind !== 'few-seeds') return `${more} more like this`
  return (
    `${more} shards have fewer than ${count(wantedReplicas, 'whole copy', 'whole copies')}; ` +
    'seed them on other hosts, or use seed --replicate'
  )
}

function hostLines(hosts: readonly HostStatus[], options: TableOptions): readonly string[] {
  if (hosts.length === 0) return ['', dim('no host found yet', options)]
  const ifOnline = (text: (host: HostStatus) => string) => (host: HostStatus) =>
    host.state === 'online' ? text(host) : ''
  const columns: readonly Column<HostStatus>[] = [
    { title: 'HOST', least: 8, cell: ({ name, state }) => marked(printable(name), state === 'online') },
    { title: 'ADDRESS', drop: 4, cell: ({ address }) => printable(address) },
    { title: 'ONLINE', drop: 1, cell: (host) => onlineCell(host, options.now) },
    {
      title: 'UP',
      align: 'right',
      drop: 3,
      cell: ifOnline((host) => rate(host.uploadBytesPerSecond)),
    },
    { title: 'DOWN', align: 'right', drop: 3, cell: ifOnline((host) => rate(host.downloadBytesPerSecond)) },
    {
      title: 'FREE',
      align: 'right',
      drop: 5,
      cell: ({ freeDiskBytes }) => (freeDiskBytes === null ? '' : formatBytes(freeDiskBytes)),
    },
    { title: 'SHARDS', align: 'right', cell: ({ seeding }) => `${seeding}` },
    { title: '', drop: 2, cell: copyingCell },
  ]
  return ['', ...renderTable(columns, hosts, options)]
}

const marked = (text: string, isFine: boolean): Cell => (isFine ? text : { text: `✗ ${text}`, style: 'red' })

function onlineCell({ state, onlineSince, seenAt }: HostStatus, now: number): Cell {
  if (state === 'online') return formatAge(now - Date.parse(onlineSince))
  return { text: `lost ${formatAge(now - Date.parse(seenAt))} ago`, style: 'red' }
}

function copyingCell({ fetching, replicating }: HostStatus): Cell {
  if (fetching > 0) return `+${fetching} coming`
  return replicating ? { text: 'replicates', style: 'dim' } : ''
}

interface Line {
  readonly shard: ShardStatus
  readonly hosts: ReadonlyMap<string, HostStatus>
}

function modelLines(
  { models, shards, hosts }: FleetStatus,
  options: TableOptions,
  detail: Detail,
): readonly string[] {
  const byHash = new Map<InfoHash, ShardStatus>(shards.map((shard) => [shard.infoHash, shard]))
  const byId = new Map(hosts.map((host) => [host.hostId, host]))
  const rows: Line[] = []
  const heads = models.map((model) => {
    const own = model.shards.flat().flatMap((infoHash) => byHash.get(infoHash) ?? [])
    const shown = own.filter((shard) => isShown(shard, options, detail))
    for (const shard of shown) rows.push({ shard, hosts: byId })
    return { lines: headLines(model, options), shards: shown.length }
  })
  // One table, so that the shards of all models stand below each other.
  const table = renderTable(shardColumns(rows, options), rows, options, '  ')
  let at = 0
  return heads.flatMap((head) => {
    const own = table.slice(at, at + head.shards)
    at += head.shards
    return ['', ...head.lines, ...own]
  })
}

function isShown(shard: ShardStatus, { wantedReplicas }: TableOptions, { shards }: Detail): boolean {
  if (shards !== 'notable') return shards === 'all'
  return shard.wholeSeeds < wantedReplicas || shard.copies.some(({ state }) => state === 'fetching')
}

function headLines(model: ModelStatus, options: TableOptions): readonly string[] {
  const { name, count: all, missing, weakestSeeds, architecture, sizeLabel, length, ambiguous } = model
  const have = `model ${printable(name)}: ${all - missing.length} of ${all} shards`
  const facts = [architecture, sizeLabel].flatMap((fact) => (fact === null ? [] : printable(fact)))
  const about = [...(facts.length > 0 ? [facts.join(' ')] : []), formatBytes(length)].join(', ')
  const text =
    missing.length === 0
      ? `${have}, weakest shard has ${count(weakestSeeds, 'seed')}`
      : `${have}, missing: ${listed(missing)}`
  const style = missing.length > 0 ? 'red' : weakestSeeds < options.wantedReplicas ? 'yellow' : 'green'
  const lines = flow(`${text} (${about})`, style, options)
  if (!ambiguous) return lines
  const narrower = { ...options, columns: options.columns - 2 }
  const warning = flow('! different files under this name: get them by infohash', 'red', narrower)
  return [...lines, ...warning.map((line) => `  ${line}`)]
}

/** `2, 3, 4 and 12 more`. */
function listed(numbers: readonly number[]): string {
  const shown = numbers.slice(0, 8).join(', ')
  return numbers.length > 8 ? `${shown} and ${numbers.length - 8} more` : shown
}

function shardColumns(rows: readonly Line[], { wantedReplicas }: TableOptions): readonly Column<Line>[] {
  // Names that only repeat the model and the number are shown whole or not at all.
  const isRegular = rows.every(
    ({ shard: { name, model: prefix, number, count: all } }) =>
      name === formatShardName({ prefix, number, count: all }),
  )
  const least = isRegular ? {} : { least: 24 }
  return [
    { title: '', align: 'right', cell: ({ shard: { number, count: all } }) => `${number}/${all}` },
    { title: '', ...least, drop: 3, cell: ({ shard }) => printable(shard.name) },
    { title: '', align: 'right', drop: 2, cell: ({ shard }) => formatBytes(shard.length) },
    { title: '', align: 'right', cell: ({ shard }) => seedsCell(shard, wantedReplicas) },
    { title: '', drop: 1, cell: comingCell },
    { title: '', drop: 4, cell: ({ shard }) => ({ text: shard.infoHash, style: 'dim' }) },
  ]
}

function seedsCell({ wholeSeeds }: ShardStatus, wanted: number): Cell {
  // As wide as "seeds", so that the numbers stand below each other.
  const text = wholeSeeds === 1 ? '1 seed ' : `${wholeSeeds} seeds`
  if (wholeSeeds >= wanted) return text
  return { text, style: wholeSeeds === 0 ? 'red' : 'yellow' }
}

/** The copy that is nearest to its end, and how many others are on their way. */
function comingCell({ shard: { copies, length }, hosts }: Line): Cell {
  const coming = copies.filter(
    ({ state, hostId }) => state === 'fetching' && hosts.get(hostId)?.state === 'online',
  )
  const [first] = [...coming].sort((a, b) => b.verifiedBytes - a.verifiedBytes)
  if (first === undefined) return ''
  const share = length === 0 ? 1 : first.verifiedBytes / length
  const to = printable(hosts.get(first.hostId)?.name ?? '')
  const others = coming.length > 1 ? ` +${coming.length - 1}` : ''
  return `${gauge(share, BAR_COLUMNS)} ${to}${others}`
}
