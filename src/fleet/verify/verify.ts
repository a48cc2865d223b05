/**
 * The verification of a live fleet: one picture is taken, every host and the DHT are asked, and each item of the
 * checklist is decided on what they answered. Nothing is changed, but for a folder that is gone afterwards.
 */
import type { AllowedPeers } from '../../swarm/allowed-peers.ts'
import type { DhtChoice } from '../network.ts'
import { checkCoordinator, checkNames } from './catalogue-checks.ts'
import { CHECKS, type Check, type CheckId, type Finding, runCheck, skip } from './checks.ts'
import {
  askHostNodes,
  type BootstrapFinding,
  bootstrapNames,
  checkBootstraps,
  checkRegistered,
  checkRouting,
  type HostNodes,
  lookUpAll,
} from './dht-checks.ts'
import { checkDownload, smallestOf } from './download.ts'
import { FreshDht } from './fresh-dht.ts'
import { checkReachable, checkSeeding, checkWhole } from './host-checks.ts'
import { checkLogLines, type HostLog } from './log-lines.ts'
import { awaitPicture, type Expectation, type Membership, type Picture } from './picture.ts'
import { type HostProbe, probeHosts } from './probes.ts'
import { accessOptions } from './repeat.ts'
import { findStrays, type Stray } from './strays.ts'

/** Complete settings. */
export interface VerifyOptions {
  /** A membership that wants catalogues, such as a coordinator's. */
  readonly member: Membership
  readonly dht: DhtChoice
  readonly bind: string
  /** With whom it may speak; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
  readonly expected: Expectation
  /** How long to wait for what is expected, and for a stable picture. */
  readonly timeoutMs: number
  /** Random pieces of each shard of each host. */
  readonly sample: number
  /** Fetch every shard in full, instead of the smallest alone. */
  readonly whole: boolean
  readonly tempDir: string
  /** One log of each host; null when there are none to look at. */
  readonly logs: readonly HostLog[] | null
}

/** The outcome. */
export interface Verification {
  /** Every check that could be made holds. */
  readonly ok: boolean
  readonly checks: readonly Check[]
  readonly picture: Picture
  readonly startedAt: Date
  readonly tookMs: number
}

/** What the checks look at, gathered once. */
interface Facts {
  readonly picture: Picture
  readonly probes: readonly HostProbe[]
  readonly nodes: HostNodes
  readonly joined: number
  readonly lookups: Awaited<ReturnType<typeof lookUpAll>>
  readonly rendezvous: Awaited<ReturnType<FreshDht['lookup']>>
  readonly strays: readonly Stray[]
}

/** Runs the whole list; `onCheck` hears of each item as soon as it is decided. Throws the signal's reason. */
export async function verifyFleet(
  options: VerifyOptions,
  onCheck: (check: Check) => void,
  signal: AbortSignal,
): Promise<Verification> {
  const startedAt = new Date()
  const start = performance.now()
  const checks: Check[] = []
  const run = async (id: CheckId, work: () => Finding | Promise<Finding>): Promise<void> => {
    const check = await runCheck(id, signal, work)
    checks.push(check)
    onCheck(check)
  }
  let bootstraps: BootstrapFinding | undefined
  await run('bootstrap', async () => {
    bootstraps = await checkBootstraps(options.dht, signal)
    return bootstraps
  })
  const picture = await awaitPicture(options.member, options.expected, options.timeoutMs, signal)
  const isEmpty = picture.hosts.length === 0
  if (isEmpty) {
    for (const id of Object.keys(CHECKS) as CheckId[]) {
      if (id === 'coordinator') await run(id, () => noHost(options))
      else if (id !== 'bootstrap') await run(id, () => skip('no host was found'))
    }
  } else await checkAll(options, picture, bootstraps?.nodeIds ?? [], run, signal)
  const tookMs = Math.round(performance.now() - start)
  return { ok: checks.every(({ verdict }) => verdict !== 'fail'), checks, picture, startedAt, tookMs }
}

async function checkAll(
  options: VerifyOptions,
  picture: Picture,
  bootstrapIds: readonly string[],
  run: (id: CheckId, work: () => Finding | Promise<Finding>) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { member, dht, expected, sample } = options
  const access = accessOptions(dht, member.key)
  const facts = await gather(options, picture, signal)
  const { probes, nodes, strays, lookups, joined } = facts
  await run('reachable', () => checkReachable(probes, nodes, strays))
  await run('whole', () => checkWhole(probes, sample, access))
  await run('seeding', () => checkSeeding(probes, access))
  await run('registered', () =>
    checkRegistered({ shards: picture.shards, lookups, joined, bootstraps: bootstrapNames(dht) }),
  )
  await run('routing', () =>
    checkRouting({ probes, nodes, bootstrapIds, lookups: [...lookups.values(), facts.rendezvous], joined }),
  )
  await run('coordinator', () =>
    checkCoordinator({
      picture,
      now: member.hosts(),
      expected,
      strays,
      turnedAway: member.turnedAway,
      access,
    }),
  )
  await run('names', () => checkNames(picture.shards, access))
  await run('download', () => {
    const smallest = smallestOf(picture.shards)
    const wanted = options.whole ? picture.shards : smallest === undefined ? [] : [smallest]
    return checkDownload(wanted, options, signal)
  })
  await run('log-lines', () => checkLogLines(options.logs, picture))
}

async function gather(options: VerifyOptions, picture: Picture, signal: AbortSignal): Promise<Facts> {
  const { member, sample, allowed } = options
  const { rendezvous } = member
  const probes = await probeHosts({ hosts: picture.hosts, rendezvous, sample }, signal)
  const nodes = await askHostNodes(probes, signal)
  await using fresh = await FreshDht.start(options)
  const lookups = await lookUpAll(fresh, picture.shards, signal)
  const found = await fresh.lookup(rendezvous)
  const announced = found.peers.filter(({ host }) => allowed?.admits(host, 'dials') ?? true)
  const strays = await findStrays({ rendezvous, announced, hosts: picture.hosts, lookups }, signal)
  return { picture, probes, nodes, joined: fresh.joined, lookups, rendezvous: found, strays }
}

function noHost({ timeoutMs, dht, member }: VerifyOptions): Finding {
  const problem =
    `no host of this fleet was found within ${timeoutMs / 1000} s. Are hosts running with this --bootstrap and this ` +
    '--fleet or --fleet-key?'
  return {
    evidence: [],
    problems: [problem],
    repeat: [`gguf-swarm status ${accessOptions(dht, member.key)}`],
  }
}
