/** An engine that stops, and torrents that go, in the middle of handshakes: no promise is left to fail unheard. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { connectTo, handshake, ID, message, type RawPeer, uint32 } from './raw-peer.ts'
import { fetchContent, makeContent, seedContent, startClient } from './swarm-kit.ts'

const ROUNDS = 10
const PEERS = 20

for (const what of ['engine', 'torrent'] as const) {
  test(`a ${what} that ends while peers shake hands`, { timeout: 60_000 }, async (t) => {
    const content = await makeContent(t)
    for (let round = 0; round < ROUNDS; round++) {
      const client = await startClient(t)
      const torrent = seedContent(client, content)
      const peers: RawPeer[] = []
      for (let count = 0; count < PEERS; count++) peers.push(await connectTo(t, client.port))
      for (const peer of peers) {
        peer.write(handshake(content), message(ID.interested), message(ID.request, uint32(0, 0, 16_384)))
      }
      // A different number of turns of the event loop each time, so that every step is met by the end.
      for (let turn = 0; turn < round; turn++) await setImmediate()
      await (what === 'engine' ? client.stop() : torrent.remove())
      await client.stop()
      for (const peer of peers) await peer.hungUp(`round ${round}`)
    }
  })
}

test('a torrent that goes while blocks are being read for its peers', { timeout: 60_000 }, async (t) => {
  const content = await makeContent(t, { length: 12_000_000, pieceLength: 256 * 1024 })
  for (let round = 0; round < ROUNDS; round++) {
    const client = await startClient(t)
    const torrent = seedContent(client, content)
    const peers: RawPeer[] = []
    for (let count = 0; count < PEERS; count++) {
      const peer = await connectTo(t, client.port)
      peer.write(handshake(content), message(ID.interested))
      peers.push(peer)
    }
    for (const peer of peers) await peer.received(ID.unchoke)
    // Each from another place, so that most of the reads still wait for their turn.
    for (const [index, peer] of peers.entries()) {
      peer.write(message(ID.request, uint32(index * 2, 0, 16_384)), message(ID.request, uint32(1, 0, 16_384)))
    }
    for (let turn = 0; turn < round * 2; turn++) await setImmediate()
    await torrent.remove()
    for (const peer of peers) await peer.hungUp(`round ${round}`)
    await client.stop()
  }
})

test('a download that is removed while its peers answer', { timeout: 60_000 }, async (t) => {
  const content = await makeContent(t, { length: 2_000_000 })
  const seed = await startClient(t)
  seedContent(seed, content)
  for (let round = 0; round < ROUNDS; round++) {
    const client = await startClient(t)
    const download = await fetchContent(t, client, content, {
      from: [{ host: '127.0.0.1', port: seed.port }],
    })
    for (let turn = 0; turn < round * 30; turn++) await setImmediate()
    await download.torrent.remove()
    await client.stop()
    assert.deepEqual(download.failures, [])
  }
})
