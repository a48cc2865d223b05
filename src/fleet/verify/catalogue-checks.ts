/** What is checked of the catalogues: is every host seen and heard, do names stand for one thing, are sets whole? */
import { countOf } from '../../log.ts'
import { formatPeerAddress } from '../../metainfo/peer-address.ts'
import type { KnownHost } from '../membership/fleet-member.ts'
import { type Finding, formatSpan, outOf, skip } from './checks.ts'
import { type Expectation, labelOf, type Picture, type SeededShard } from './picture.ts'
import type { Stray } from './strays.ts'

/** Heartbeats come every 5 s; who missed three is not heard any more. */
const MAX_SILENCE_MS = 15_000
/** Missing numbers that are named; the rest is counted. */
const MAX_NAMED = 10

/** What the coordinator check looks at. */
export interface CoordinatorFacts {
  /** As it was when the verification began. */
  readonly picture: Picture
  /** The hosts known now. */
  readonly now: readonly KnownHost[]
  readonly expected: Expectation
  readonly strays: readonly Stray[]
  readonly turnedAway: Readonly<Record<string, number>>
  /** How a command joins this fleet. */
  readonly access: string
}

/** Is every host there, completely known, and heard of lately? */
export function checkCoordinator(facts: CoordinatorFacts): Finding {
  const { picture, now, expected, strays, turnedAway } = facts
  const problems: string[] = []
  const silences: number[] = []
  const current = new Map(now.map((host) => [host.info.hostId, host]))
  for (const host of picture.hosts) {
    const known = current.get(host.info.hostId)
    if (known === undefined || known.state === 'lost') {
      problems.push(
        `${labelOf(host)} was there and is gone; start it again, or see what happened to its machine`,
      )
      continue
    }
    const silence = performance.now() - known.heardAtMs
    silences.push(silence)
    if (silence > MAX_SILENCE_MS) {
      problems.push(
        `${labelOf(host)} was last heard ${Math.round(silence / 1000)} s ago; is it stopped or overloaded?`,
      )
    }
    if (!known.complete) problems.push(`${labelOf(host)} has not told its whole catalogue; run this again`)
  }
  const [hosts, copies] = [picture.hosts.length, picture.copies.length]
  if (expected.hosts !== null && hosts < expected.hosts)
    problems.push(missingHosts(hosts, expected.hosts, strays))
  if (expected.copies !== null && copies < expected.copies) {
    problems.push(
      `${copies} whole copies where ${expected.copies} are expected` +
        (picture.fetching.length > 0
          ? ` (${picture.fetching.length} are being fetched; run this again)`
          : ''),
    )
  }
  const complete = picture.hosts.filter(({ complete }) => complete).length
  const summary =
    `${outOf(hosts, expected.hosts ?? hosts)} hosts online, ${outOf(complete, hosts)} catalogues complete, ` +
    `heartbeats ${formatSpan(silences)} old; ` +
    `${outOf(copies, expected.copies ?? copies)} whole copies of ${countOf(picture.shards.length, 'shard')}`
  const evidence = picture.hosts.map(
    (host) =>
      `${labelOf(host)}: host id ${host.info.hostId}, version ${host.info.version}, ${countOf(host.shards.size, 'shard')}`,
  )
  const refused = Object.entries(turnedAway).map(([reason, count]) => `${reason} ${count}`)
  if (refused.length > 0) evidence.push(`peers turned away: ${refused.join(', ')}`)
  return { evidence: [summary, ...evidence], problems, repeat: [`gguf-swarm status ${facts.access} --json`] }
}

function missingHosts(hosts: number, expected: number, strays: readonly Stray[]): string {
  const suspects = strays
    .filter(({ state }) => state !== 'member')
    .map(
      ({ address, state }) =>
        `${formatPeerAddress(address)} ${state === 'gone' ? 'no longer there' : 'silent'}`,
    )
  const hint = suspects.length === 0 ? '' : ` Announced as members and not met: ${suspects.join(', ')}.`
  return (
    `${hosts} hosts are seen where ${expected} are expected.${hint} Start the missing ones with this fleet's key and ` +
    'bootstrap; see that their ports (TCP and UDP) are open'
  )
}

/** Does each name stand for one content, and has each set all its shards? */
export function checkNames(shards: readonly SeededShard[], access: string): Finding {
  if (shards.length === 0) return skip('no shard is offered')
  const problems = [...nameConflicts(shards), ...sha256Conflicts(shards)]
  const models = new Map<string, SeededShard[]>()
  for (const shard of shards) {
    const of = models.get(shard.shard.model)
    if (of === undefined) models.set(shard.shard.model, [shard])
    else of.push(shard)
  }
  const evidence: string[] = []
  let whole = 0
  for (const [name, of] of models) {
    const numbers = new Set(of.map(({ shard }) => shard.number))
    const [count, ...otherCounts] = new Set(of.map(({ shard }) => shard.count))
    const missing = missingNumbers(numbers, count ?? 1)
    if (otherCounts.length > 0) {
      const counts = [count, ...otherCounts].join(' and ')
      problems.push(`${name}: its shards say it has ${counts} shards; two sets share one name`)
    } else if (missing !== null)
      problems.push(`${name}: ${missing} of ${count} missing; start a host that has it`)
    else whole++
    const weakest = Math.min(...of.map(({ hosts }) => hosts.length))
    const copies = weakest === 1 ? '1 whole copy' : `${weakest} whole copies`
    evidence.push(`${name}: ${outOf(numbers.size, count ?? 1)} shards, weakest has ${copies}`)
  }
  const names = new Set(shards.map(({ shard }) => shard.name)).size
  const contents = countOf(shards.length, 'content')
  const summary = `${countOf(names, 'name')} for ${contents}; ${outOf(whole, models.size)} models complete`
  return { evidence: [summary, ...evidence], problems, repeat: [`gguf-swarm status ${access}`] }
}

function nameConflicts(shards: readonly SeededShard[]): readonly string[] {
  const byName = new Map<string, SeededShard[]>()
  for (const shard of shards) byName.set(shard.shard.name, [...(byName.get(shard.shard.name) ?? []), shard])
  return [...byName]
    .filter(([, of]) => of.length > 1)
    .map(([name, of]) => {
      const contents = of.map(
        ({ shard, hosts }) =>
          `${shard.infoHash} (SHA-256 ${shard.sha256}) at ${hosts.map(labelOf).join(', ')}`,
      )
      return `${name} stands for ${of.length} contents: ${contents.join('; ')}. Rename or remove the wrong one`
    })
}

function sha256Conflicts(shards: readonly SeededShard[]): readonly string[] {
  return shards.flatMap(({ shard, hosts }) => {
    const said = new Map<string, string[]>()
    for (const host of hosts) {
      const sha256 = host.shards.get(shard.infoHash)?.sha256 ?? shard.sha256
      said.set(sha256, [...(said.get(sha256) ?? []), labelOf(host)])
    }
    if (said.size < 2) return []
    const claims = [...said].map(([sha256, who]) => `${who.join(', ')}: ${sha256}`)
    return [
      `${shard.name} (${shard.infoHash}) has ${said.size} SHA-256: ${claims.join('; ')}. One host tells a lie`,
    ]
  })
}

/** `shard 2, 3 and 7 more`, or null when every number is there. */
function missingNumbers(numbers: ReadonlySet<number>, count: number): string | null {
  const total = count - numbers.size
  if (total <= 0) return null
  const named: number[] = []
  for (let number = 1; number <= count && named.length < MAX_NAMED; number++) {
    if (!numbers.has(number)) named.push(number)
  }
  const more = total > named.length ? ` and ${total - named.length} more` : ''
  return `shard ${named.join(', ')}${more}`
}
