/** Peers without the key at the rendezvous of real processes: none gets in, none keeps the members out. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { encodeHello, encodeProof } from '../../src/swarm/catalogue/catalogue-codec.ts'
import { afterTest } from '../helpers/after-test.ts'
import { until } from '../helpers/until.ts'
import {
  approach,
  expectCut,
  type FleetPeer,
  meetFleet,
  startAttackedFleet,
  untilTurnedAway,
} from './catalogue-kit.ts'
import { extended, handshake, ID, message } from './raw-peer.ts'

const hello = (): Uint8Array => encodeHello({ version: 1, nonce: randomBytes(32) })

test('strangers at the rendezvous', async (t) => {
  const attacked = await startAttackedFleet(t)
  const { infoHash, secret } = attacked
  const targets = [attacked.coordinator.port, attacked.host.port]
  const meet = (port = targets[0]!, from?: string): Promise<FleetPeer> =>
    meetFleet(t, port, from === undefined ? { infoHash } : { infoHash, from })
  const cut = (peer: FleetPeer, reason: string, frames: readonly Uint8Array[]): Promise<void> =>
    expectCut(attacked, peer, reason, () => {
      for (const frame of frames) peer.say(frame)
    })

  await t.test('another key', async () => {
    const peer = await meet()
    await assert.rejects(peer.prove(new Uint8Array(32)), /turned away/)
    await peer.raw.hungUp('wrong key', 15_000)
    await untilTurnedAway(attacked, 'wrong-key')
  })

  await t.test('hello and proof of a former connection', async () => {
    const member = await meet()
    const said: Uint8Array[] = []
    const say = member.say.bind(member)
    member.say = (frame) => {
      said.push(frame)
      say(frame)
    }
    await member.enter(secret, 66, { role: 'coordinator' })
    await cut(await meet(), 'wrong-key', said.slice(0, 2))
    member.raw.socket.destroy()
  })

  await t.test('their own hello, with and without a change', async () => {
    const peer = await meet()
    await cut(peer, 'forged', [peer.frames[0]!])
    const other = await meet()
    const altered = Buffer.concat([other.frames[0]!.subarray(0, -1), Buffer.from('1:xi1ee')])
    other.say(altered)
    await until(() => other.frames.length > 1, { timeoutMs: 5_000, what: 'their proof' })
    await cut(other, 'wrong-key', [other.frames[1]!])
  })

  await t.test(
    'hello again and again, frames that are none, and as large as the wire lets through',
    async () => {
      await cut(await meet(), 'malformed', [hello(), hello()])
      await cut(await meet(), 'malformed', [new Uint8Array(0)])
      await cut(await meet(), 'malformed', [new Uint8Array(200 * 1024)])
      await cut(await meet(), 'malformed', [hello(), randomBytes(200 * 1024)])
      await cut(await meet(), 'malformed', [encodeProof(new Uint8Array(32))])
      await cut(await meet(), 'version', [encodeHello({ version: 0, nonce: randomBytes(32) })])
    },
  )

  await t.test(
    'a message past the limit of the wire, numbers that are no extension, an extension taken back',
    async () => {
      const oversized = await meet()
      oversized.say(new Uint8Array(256 * 1024 + 1))
      await oversized.raw.hungUp('oversized')
      const odd = await meet()
      for (const number of [9, 77, 255]) odd.raw.write(extended(number, randomBytes(100)))
      await odd.enter(secret, 67, { role: 'coordinator' })
      odd.raw.write(extended(0, 'd1:md12:gs_cataloguei0eee'))
      await odd.raw.hungUp('an extension taken back', 30_000) // at the next heartbeat
    },
  )

  await t.test(
    'who says nothing, and who does not even speak the extension, is left after 10 s',
    async () => {
      const before = await attacked.turnedAway('silent')
      const quiet = await Promise.all([meet(), approach(t, targets[0]!, { infoHash }), meet(targets[1])])
      const foreign = await approach(t, targets[0]!, { infoHash })
      foreign.raw.write(extended(0, 'd1:md11:ut_metadatai1eee'), message(ID.haveNone))
      for (const peer of [...quiet, foreign]) await peer.raw.hungUp('silent', 20_000)
      await untilTurnedAway(attacked, 'silent', before + 2)
    },
  )

  await t.test('connections that close half-way', async () => {
    for (let count = 0; count < 60; count++) {
      const peer = await meet(targets[count % 2])
      if (count % 3 === 0) peer.say(hello())
      if (count % 3 === 1) peer.raw.write(extended(peer.theirs, Buffer.alloc(1000)).subarray(0, 30))
      peer.raw.socket.destroy()
    }
  })

  await t.test(
    '300 connections that prove nothing, from one address, and made again as they are cut',
    async () => {
      const flood = flooding(t, targets, infoHash)
      await until(() => flood.made() > 1_000, { timeoutMs: 60_000, what: 'a flood' })
      // A member from elsewhere gets in meanwhile, at once.
      for (const port of targets) {
        const member = await meet(port, '127.0.0.9')
        await member.enter(secret, 68, { role: 'coordinator' })
        member.raw.socket.destroy()
      }
      const late = performance.now()
      await attacked.fleet.startHost('latecomer')
      const isSeen = async (): Promise<boolean> =>
        (await attacked.status()).hosts.some(({ name, state }) => name === 'latecomer' && state === 'online')
      await until(isSeen, { timeoutMs: 30_000, what: 'a new host is seen during the flood' })
      t.diagnostic(
        `a new host is seen after ${Math.round(performance.now() - late)} ms; ${flood.made()} connections`,
      )
      flood.stop()
      await untilTurnedAway(attacked, 'too-many')
    },
  )

  await attacked.assertWell()
  assert.deepEqual((await attacked.status()).hosts.map(({ name }) => name).sort(), ['latecomer', 'shard-0'])
  assert.deepEqual(await readdir(attacked.fleet.hosts[0]!.folder), ['tiny-00001-of-00001.gguf'])
})

/** Keeps 300 connections that shake hands, speak the extension and prove nothing. */
function flooding(t: TestContext, ports: readonly number[], infoHash: string) {
  const opening = (): Buffer =>
    Buffer.concat([
      handshake({ infoHash, peerId: randomBytes(20).toString('hex') }),
      extended(0, 'd1:md12:gs_cataloguei7eee'),
    ])
  let made = 0
  let stopped = false
  const open = new Set<ReturnType<typeof connect>>()
  const one = (): void => {
    if (stopped) return
    const socket = connect({
      port: ports[made++ % ports.length]!,
      host: '127.0.0.1',
      localAddress: '127.0.0.6',
    })
    open.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', () => undefined)
    socket.on('close', () => {
      open.delete(socket)
      setTimeout(one, 50)
    })
    // A peer id of its own each: the engine keeps one connection of each.
    socket.write(opening())
  }
  for (let count = 0; count < 300; count++) one()
  const stop = (): void => {
    stopped = true
    for (const socket of open) socket.destroy()
  }
  afterTest(t, stop)
  return { made: () => made, stop }
}
