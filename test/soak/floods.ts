/**
 * How fast honest ones are served while somebody floods: each kind of flood comes and goes three times, and what is done
 * in a second with it is compared with what is done without it, in the same run.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { targetOf } from '../fuzz/target-process.ts'
import { startProcess } from '../helpers/process.ts'
import { residentBytes } from '../helpers/resident-bytes.ts'
import { soak } from '../helpers/soak.ts'
import { median } from '../helpers/statistics.ts'
import { rawNode } from '../hostile/krpc.ts'
import { fetchContent, makeContent, startClient } from '../hostile/swarm-kit.ts'
import { ask } from '../web/clients.ts'

const PHASE_MS = 3_000
const PAIRS = 3
/** Half of what is normal, in the middle one of three comparisons. */
const MIN_RATIO = 0.5
/** Resident memory also holds the buffers of all sockets that are open. */
const MAX_GROWTH_BYTES = 250 * 1024 * 1024
const ANSWER_MS = 500
const START_TIMEOUT_MS = 30_000
/**
 * An honest node asks one other now and then: a host of a thousand shards its bootstrap once a second, a `get` ten times in
 * all. This is what any address is sure of in a flood (`BUSY_SHARE` of swarm/dht/datagram-limit); whoever asks as fast
 * as it is answered, some 450 times a second, is a part of the flood.
 */
const QUERY_EVERY_MS = 50

interface Service {
  readonly pid: number
  readonly port: number
  /** Does one piece of honest work, however long that takes; false when it was in vain. */
  readonly work: () => Promise<boolean>
}

type FloodEvent = { readonly event: 'under way' } | { readonly event: 'ended'; readonly sent: number }

interface Flood {
  /** Ends it; gives how much it has sent. */
  readonly stop: () => Promise<number>
}

/** Resolves when the flood is under way. */
async function startFlood(t: TestContext, kind: string, port: number, infoHash = ''): Promise<Flood> {
  const script = join(import.meta.dirname, '../helpers/flood.ts')
  const args = ['-n', '19', process.execPath, script, kind, String(port), infoHash]
  const child = startProcess<FloodEvent>(t, 'nice', args)
  await child.waitForEvent('under way', { timeoutMs: START_TIMEOUT_MS })
  return {
    stop: async () => {
      await child.stop()
      return (await child.waitForEvent('ended', { timeoutMs: START_TIMEOUT_MS })).sent
    },
  }
}

/** Pieces of work done in a second, for as long as a phase takes. */
async function rateOf({ work }: Service): Promise<number> {
  const begun = performance.now()
  let done = 0
  while (performance.now() - begun < PHASE_MS) if (await work()) done++
  return (done / (performance.now() - begun)) * 1_000
}

interface Outcome {
  readonly ratio: number
  readonly text: string
}

async function compare(t: TestContext, kind: string, service: Service, infoHash?: string): Promise<Outcome> {
  const ratios: number[] = []
  const rates: string[] = []
  let [sent, floodedMs] = [0, 0]
  await service.work()
  const before = residentBytes(service.pid)
  let peak = before
  for (let pair = 0; pair < PAIRS; pair++) {
    const quiet = await rateOf(service)
    const flood = await startFlood(t, kind, service.port, infoHash)
    const begun = performance.now()
    const flooded = await rateOf(service)
    peak = Math.max(peak, residentBytes(service.pid))
    floodedMs += performance.now() - begun
    sent += await flood.stop()
    ratios.push(flooded / quiet)
    rates.push(`${quiet.toFixed(0)}/${flooded.toFixed(0)}`)
  }
  const ratio = median(ratios)
  assert.ok(peak - before < MAX_GROWTH_BYTES, `${kind}: grew by ${peak - before} bytes`)
  const perSecond = (sent * 1_000) / floodedMs
  const growth = `${((peak - before) / 1024 ** 2).toFixed(0)} MB more`
  return {
    ratio,
    text: `${ratio.toFixed(2)} of normal (${rates.join(' ')} a second, ${perSecond.toFixed(0)} sent a second, ${growth})`,
  }
}

async function dhtService(t: TestContext): Promise<Service> {
  const target = await (await targetOf(t))()
  const honest = await rawNode(t)
  let [number, nextAt] = [0, 0]
  const work = async (): Promise<boolean> => {
    await delay(Math.max(0, nextAt - performance.now()))
    nextAt = Math.max(nextAt, performance.now() - QUERY_EVERY_MS) + QUERY_EVERY_MS
    honest.heard.length = 0
    const infoHash = Buffer.alloc(20, ++number % 256)
    const late = new Promise<false>((resolve) => setTimeout(resolve, ANSWER_MS, false))
    return Promise.race([
      honest.ask(target.dhtPort, 'get_peers', { info_hash: infoHash }).then(() => true),
      late,
    ])
  }
  return { pid: target.pid, port: target.dhtPort, work }
}

async function wireService(t: TestContext): Promise<Service & { readonly infoHash: string }> {
  const target = await (await targetOf(t))()
  const content = await makeContent(t) // the same bytes as the target seeds
  const client = await startClient(t)
  const work = async (): Promise<boolean> => {
    const fetched = await fetchContent(t, client, content, {
      known: true,
      from: [{ host: '127.0.0.1', port: target.port }],
    })
    const bytes = await fetched.done(60_000)
    await fetched.torrent.remove()
    return bytes.equals(content.bytes)
  }
  return { pid: target.pid, port: target.port, infoHash: content.infoHash, work }
}

async function webService(t: TestContext): Promise<Service> {
  const script = join(import.meta.dirname, '../helpers/web-process.ts')
  const child = startProcess<{ event: string; port: number }>(t, process.execPath, [script])
  const { port } = await child.waitForEvent('listening', { timeoutMs: START_TIMEOUT_MS })
  const work = async (): Promise<boolean> =>
    ask('/api/status', { port }).then(
      ({ status }) => status === 200,
      () => false, // cut off: it is asked again
    )
  return { pid: child.pid, port, work }
}

soak('floods', { minutes: 5 }, async (t, { report }) => {
  const wire = await wireService(t)
  const outcomes: Record<string, Outcome> = {}
  const flood = async (kind: string, service: Service, infoHash?: string): Promise<void> => {
    outcomes[kind] = await compare(t, kind, service, infoHash)
    report({ [kind]: outcomes[kind].text })
  }
  await flood('queries', await dhtService(t))
  await flood('announces', await dhtService(t))
  await flood('connections', wire)
  await flood('requests', wire, wire.infoHash)
  await flood('slow-requests', await webService(t))
  await flood('slow-feeds', await webService(t))
  for (const [kind, { ratio, text }] of Object.entries(outcomes))
    assert.ok(ratio >= MIN_RATIO, `${kind}: ${text}`)
})
