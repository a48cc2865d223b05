/** Why nothing moves: each state of affairs has its own reason, and the time limit counts from the last byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StallWatch } from '../../../src/fleet/download/stall.ts'
import type { Network } from '../../../src/fleet/network.ts'
import type { TorrentStats } from '../../../src/swarm/client.ts'
import { NO_PEERS } from './fake-swarm.ts'

/** The part of a network that is looked at. */
const network = (isolated: boolean): Network =>
  ({ isolated, dht: { nodeCount: 3, bootstrap: [{ host: '10.0.0.1', port: 51820 }] } }) as unknown as Network

/** How often a download is looked at. */
const LOOK_MS = 500

function watch(timeoutMs: number | null = null) {
  let nowMs = 1_000_000
  const stall = new StallWatch(timeoutMs, () => nowMs)
  const sleep = (ms: number): void => {
    nowMs += ms
  }
  return {
    stall,
    observe: (stats: Partial<TorrentStats> = {}, { isolated = false, hasMetadata = true } = {}) =>
      stall.observe({ ...NO_PEERS, ...stats }, network(isolated), hasMetadata),
    sleep,
    pass: (ms: number) => {
      for (let left = ms; left > 0; left -= LOOK_MS) {
        sleep(Math.min(left, LOOK_MS))
        stall.current(network(false))
      }
    },
  }
}

const REASONS: readonly (readonly [
  Partial<TorrentStats>,
  { isolated?: boolean; hasMetadata?: boolean },
  RegExp,
])[] = [
  [{}, { isolated: true }, /^no DHT node answers at 10\.0\.0\.1:51820$/],
  [{}, {}, /^asked 3 DHT nodes, nobody announces it$/],
  [{ peers: 1 }, { hasMetadata: false }, /^connected to 1 peer, none has sent the metadata yet$/],
  [{ peers: 2 }, {}, /^connected to 2 peers, none has a piece that is missing here$/],
  [{ peers: 2, useful: 1 }, {}, /^waiting for a free upload slot at 2 peers$/],
  [{ peers: 2, useful: 1, unchoked: 1 }, {}, /^connected to 2 peers, but no data comes$/],
]

for (const [stats, circumstances, reason] of REASONS) {
  test(`the reason: ${reason.source}`, () => {
    const { observe, pass } = watch()
    observe(stats, circumstances)
    pass(2_900)
    assert.equal(observe(stats, circumstances), null, 'a short pause is no stall')
    pass(2_100)
    const stall = observe(stats, circumstances)
    assert.match(stall?.reason ?? '', reason)
    assert.equal(stall?.seconds, 5)
    assert.equal(stall?.expired, false)
    assert.notEqual(stall?.advice, '')
  })
}

test('peers that were found and cannot be reached are named, three of them', () => {
  const { stall, observe, pass } = watch()
  for (const last of [1, 2, 3, 4, 4]) stall.heardOf({ host: `10.0.0.${last}`, port: 6881 })
  observe()
  pass(4_000)
  const { reason } = observe({}, { isolated: true })!
  assert.equal(
    reason,
    'found 4 peers (10.0.0.1:6881, 10.0.0.2:6881, 10.0.0.3:6881), none can be connected to',
  )
})

test('peers that were dropped for wrong data are not said to be out of reach', () => {
  const { stall, observe, pass } = watch()
  stall.heardOf({ host: '10.0.0.1', port: 6881 })
  observe()
  pass(4_000)
  assert.match(
    observe({ banned: 1 })?.reason ?? '',
    /^dropped 1 peer that sent wrong data, and found no other$/,
  )
})

test('new bytes and new metadata end a stall; the time limit counts from there', () => {
  const { observe, pass } = watch(10_000)
  observe({}, { hasMetadata: false })
  pass(9_000)
  assert.equal(observe({}, { hasMetadata: true }), null, 'metadata has come')
  pass(9_000)
  assert.equal(observe({ verifiedBytes: 1 }), null, 'a byte has come')
  pass(9_999)
  assert.equal(observe({ verifiedBytes: 1 })?.expired, false)
  pass(1)
  assert.equal(observe({ verifiedBytes: 1 })?.expired, true)
})

test('a process that was stopped, or slept with its machine, gives its peers the whole time again', () => {
  const { observe, pass, sleep } = watch(10_000)
  observe()
  pass(9_000)
  sleep(600_000)
  assert.equal(observe(), null, 'nothing is held against anybody')
  pass(9_500)
  assert.equal(observe()?.expired, false)
  pass(500)
  assert.equal(observe()?.expired, true)
})
