/** Peers that take up room: a crowd that connects and does nothing, and peers that name a thousand others (PEX). */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { AllowedPeers } from '../../src/swarm/allowed-peers.ts'
import { until } from '../helpers/until.ts'
import { liar } from './liar.ts'
import { extended, ID, listen, meet, message, type RawPeer, uint32 } from './raw-peer.ts'
import { type Content, fetchContent, makeContent, seedContent, startClient } from './swarm-kit.ts'

/** One more than a torrent dials. */
const CROWD = 101

test('a crowd that dialled us leaves room to dial the one peer that has the file', async (t) => {
  const content = await makeContent(t)
  const client = await startClient(t)
  const download = await fetchContent(t, client, content, { known: true })
  const crowd = await Promise.all(Array.from({ length: CROWD }, () => meet(t, client.port, content)))
  assert.ok(crowd.every(({ closed }) => !closed))
  const seed = await startClient(t)
  seedContent(seed, content)
  download.torrent.dial({ host: '127.0.0.1', port: seed.port })
  assert.ok((await download.done(30_000)).equals(content.bytes))
})

/** A peer that is dialled, has nothing, and tells of others as often as it is asked to. */
async function gossip(t: TestContext, content: Content) {
  const peer = await liar(t, content, [extended(0, 'd1:md6:ut_pexi1eee'), message(ID.haveNone)])
  const dialled = (): Promise<RawPeer> =>
    until(() => peer.met.find(({ handshaken }) => handshaken), { timeoutMs: 30_000, what: 'a dial' })
  return {
    peer,
    tell: async (added: Buffer): Promise<void> => {
      const raw = await dialled()
      const number = await until(() => pexNumberOf(raw), { timeoutMs: 30_000, what: 'the number of ut_pex' })
      raw.write(
        extended(number, Buffer.concat([Buffer.from(`d5:added${added.length}:`), added, Buffer.from('e')])),
      )
    },
    /** Waits until all that was told has been read: a request is answered after it, and refused. */
    isRead: async (): Promise<void> => {
      const raw = await dialled()
      raw.write(message(ID.request, uint32(0, 0, 16_384)))
      await raw.received(ID.reject)
    },
  }
}

/** By which number the other side wants to be told of peers. */
function pexNumberOf({ messages }: RawPeer): number | undefined {
  for (const { id, body } of messages) {
    const [, digits] =
      id === ID.extended && body[0] === 0 ? (/ut_pexi(\d+)e/.exec(body.toString('latin1')) ?? []) : []
    if (digits !== undefined) return Number(digits)
  }
  return undefined
}

/** BEP 23's six bytes of each; the addresses are in a test network (RFC 2544) that no packet leaves for here. */
function compact(count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      Buffer.from([198, 18, 0, 1 + (index % 250), 4, 1 + (index >> 8)]),
    ),
  )
}

test('peers named by one peer fill no more than their share, once in half a minute', async (t) => {
  const content = await makeContent(t)
  // One dial at once: those that are named wait, and nothing is sent to them.
  const client = await startClient(t, { maxConns: 1 })
  const { peer, tell, isRead } = await gossip(t, content)
  const download = await fetchContent(t, client, content, { known: true, from: [peer] })
  const known = (): number => download.torrent.stats().knownPeers
  await tell(compact(100))
  await until(() => known() > 100, { timeoutMs: 30_000, what: 'the named peers are known' })
  assert.equal(known(), 101)
  await tell(compact(900))
  await isRead()
  assert.equal(known(), 101, 'too soon after the first')
})

test('one message that names a thousand peers leaves room for those the DHT names', async (t) => {
  const content = await makeContent(t)
  const client = await startClient(t, { maxConns: 1 })
  const { peer, tell, isRead } = await gossip(t, content)
  const download = await fetchContent(t, client, content, { known: true, from: [peer] })
  await tell(compact(1_000))
  await isRead()
  assert.equal(
    download.torrent.stats().knownPeers,
    251,
    'the one that told, and a quarter of what there is room for',
  )
})

test('nobody can have us connect to programs of this machine, or to whom we do not speak', async (t) => {
  const content = await makeContent(t)
  let connections = 0
  const local = await listen(t, () => connections++)
  const allowed = new AllowedPeers([])
  const client = await startClient(t, { allowed })
  const { peer, tell } = await gossip(t, content)
  const download = await fetchContent(t, client, content, { known: true, from: [peer] })
  const here = Buffer.from([127, 0, 0, 1, local.port >> 8, local.port & 255])
  await tell(Buffer.concat([here, compact(3)]))
  await until(() => allowed.refused.dials === 3, { timeoutMs: 30_000, what: 'strangers are refused' })
  assert.equal(download.torrent.stats().knownPeers, 1)
  assert.equal(connections, 0)
})
