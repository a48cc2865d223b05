/**
 * More than anybody needs, of everything: a process with small limits is flooded, keeps little of it, and goes on
 * serving those who ask for what they need. How fast it serves them meanwhile is measured by `test/soak/floods.ts`.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import bencode from 'bencode'
import { type State, type Target, targetOf } from '../fuzz/target-process.ts'
import { afterTest } from '../helpers/after-test.ts'
import { until } from '../helpers/until.ts'
import { idOf, type RawNode, rawNode } from './krpc.ts'
import { handshake, ID, message, RawPeer, uint32 } from './raw-peer.ts'

/** What 10,000 announces may leave, and tables, and what is not collected yet. */
const MAX_KEPT_BYTES = 40 * 1024 * 1024

async function started(t: TestContext, maxConns?: number): Promise<{ target: Target; before: State }> {
  const target = await (await targetOf(t, maxConns === undefined ? {} : { maxConns }))()
  return { target, before: await target.ask<State>({ order: 'state' }) }
}

async function assertKeptLittle(t: TestContext, target: Target, before: State): Promise<State> {
  const state = await target.ask<State>({ order: 'state' }, 60_000)
  const kept = state.keptBytes - before.keptBytes
  t.diagnostic(`${(kept / 1024 ** 2).toFixed(1)} MB kept of the flood`)
  assert.ok(kept < MAX_KEPT_BYTES, `kept ${kept} bytes`)
  return state
}

const query = (q: string, a: object): Uint8Array =>
  bencode.encode({ t: 'ff', y: 'q', q, a: { id: idOf(9), ...a } as never })

/** An infohash, or a node id, for a number. */
const hashOf = (number: number): Buffer => Buffer.from(number.toString(16).padStart(40, '0'), 'hex')

/** Asks again until there is an answer, as every node does: a datagram may be lost. */
async function peersOf(node: RawNode, { dhtPort }: Target, infoHash: Buffer): Promise<number> {
  const { message: reply } = await until(
    () => node.ask(dhtPort, 'get_peers', { info_hash: infoHash }, { timeoutMs: 300 }),
    { timeoutMs: 60_000, what: 'an answer' },
  )
  return (reply['r'] as { values?: unknown[] }).values?.length ?? 0
}

test('a flood of queries from one address, and from twenty', { timeout: 120_000 }, async (t) => {
  const { target, before } = await started(t)
  const honest = await rawNode(t)
  const [first, ...others] = await Promise.all(
    Array.from({ length: 20 }, (_, index) => rawNode(t, `127.0.2.${index + 1}`)),
  )
  let number = 0
  const flood = async (flooder: RawNode, count: number): Promise<void> => {
    flooder.heard.length = 0
    const next = (): Uint8Array => query('find_node', { id: hashOf(++number), target: hashOf(number % 977) })
    await Promise.all(Array.from({ length: count }, () => flooder.send(next(), target.dhtPort)))
  }
  // Until the limits are met: how many datagrams get as far as that is for the machine to say.
  const isLimited = async (): Promise<boolean> =>
    (await target.ask<Pick<State, 'datagrams'>>({ order: 'ping' })).datagrams.rateLimited > 0
  for (let round = 0; round < 20 || !(await isLimited()); round++) {
    assert.ok(round < 500, `nothing is turned away of ${number} queries`)
    for (let burst = 0; burst < 10; burst++) await flood(first!, 150)
    for (const other of others) await flood(other, 20)
    await peersOf(honest, target, hashOf(1))
  }
  await assertKeptLittle(t, target, before)
})

test('a flood of announces, each of another infohash', { timeout: 120_000 }, async (t) => {
  const { target, before } = await started(t)
  const honest = await rawNode(t)
  const mine = hashOf(0xabcdef)
  await honest.ask(target.dhtPort, 'announce_peer', {
    info_hash: mine,
    port: 6_881,
    token: await honest.tokenOf(target.dhtPort),
  })
  const flooders = await Promise.all(
    Array.from({ length: 8 }, (_, index) => rawNode(t, `127.0.4.${index + 1}`)),
  )
  const tokens = await Promise.all(flooders.map((flooder) => flooder.tokenOf(target.dhtPort)))
  let number = 0
  const stored = async (): Promise<number> => (await target.ask<State>({ order: 'state' })).stored.peers
  // Some seconds of it, as each address is let announce only so much in one.
  await until(
    async () => {
      for (const [index, flooder] of flooders.entries()) {
        for (let count = 0; count < 400; count++) {
          const announce = { info_hash: hashOf(++number), port: 6_881, token: tokens[index]! }
          void flooder.send(query('announce_peer', announce), target.dhtPort)
        }
        flooder.heard.length = 0
      }
      return (await stored()) > 10_000
    },
    { timeoutMs: 60_000, everyMs: 100, what: '10,000 announces are stored' },
  )
  assert.equal(await peersOf(honest, target, mine), 1, 'what was announced before is still there')
  await assertKeptLittle(t, target, before)
})

const MAX_CONNS = 60
/** Files, timers, the DHT's socket, and connections that are being closed. */
const OTHER_DESCRIPTORS = 120

test('a flood of connections that say nothing, or half a handshake', { timeout: 120_000 }, async (t) => {
  const { target, before } = await started(t, MAX_CONNS)
  const descriptors = (): number => readdirSync(`/proc/${target.pid}/fd`).length
  let most = 0
  for (let round = 0; round < 5; round++) {
    for (let number = 0; number < 200; number++) {
      const socket = connect({
        host: '127.0.0.1',
        port: target.port,
        localAddress: `127.0.5.${1 + (number % 250)}`,
      })
      socket.on('error', () => undefined) // refused, as most are
      afterTest(t, () => socket.destroy())
      if (number % 2 === 0) socket.write(handshake({ infoHash: target.infoHashes.seeded }).subarray(0, 40))
    }
    most = Math.max(most, descriptors())
    await until(() => fetchedBlock(t, target), { timeoutMs: 30_000, what: 'an honest peer gets a block' })
    most = Math.max(most, descriptors())
  }
  assert.ok(most < MAX_CONNS + OTHER_DESCRIPTORS, `${most} descriptors at once`)
  const { incoming } = await assertKeptLittle(t, target, before)
  assert.ok(incoming.givenUp + incoming.full > 0, JSON.stringify(incoming))
})

/** True when a peer that comes now is let in and given what it asks for. */
async function fetchedBlock(t: TestContext, target: Target): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port: target.port })
  afterTest(t, () => socket.destroy())
  const peer = new RawPeer(socket)
  peer.write(handshake({ infoHash: target.infoHashes.seeded }))
  await until(() => peer.closed || peer.handshaken, { timeoutMs: 30_000 })
  peer.write(message(ID.haveNone), message(ID.interested))
  const request = message(ID.request, uint32(0, 0, 16_384))
  await until(() => peer.closed || peer.messages.some(({ id }) => id === ID.unchoke), { timeoutMs: 30_000 })
  peer.write(request)
  await until(() => peer.closed || peer.messages.some(({ id }) => id === ID.piece), { timeoutMs: 30_000 })
  socket.destroy()
  return peer.messages.some(({ id }) => id === ID.piece)
}
