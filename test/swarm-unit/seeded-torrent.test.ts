/** That the engine takes what it is told of a whole torrent as it takes the bytes of its `.torrent`. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import WebTorrent, { type ParsedTorrent, type Torrent } from 'webtorrent'
import { buildInfo, composeTorrentFile } from '../../src/metainfo/create.ts'
import { parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { InPlaceStore, type ServedFile } from '../../src/swarm/seeding/in-place-store.ts'
import { seededTorrent } from '../../src/swarm/seeding/seeded-torrent.ts'
import { WindowCache } from '../../src/swarm/seeding/window-cache.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'

const PIECES = 2_000
const PIECE_LENGTH = 256 * 1024

test('a seeded torrent is done at once, serves its metadata, and holds nothing for each piece', async (t) => {
  const length = (PIECES - 1) * PIECE_LENGTH + 1_234
  const pieces = new SeededBytes(1).next(PIECES * 20)
  const made = buildInfo({ name: 'ä model.gguf', length, pieceLength: PIECE_LENGTH, pieces })
  const file: ServedFile = {
    ...made,
    path: '/nowhere/ä model.gguf',
    check: async () => {},
    onLost: () => {},
  }
  const torrentFile = composeTorrentFile({ info: made.info, nodes: [{ host: '10.0.0.1', port: 51820 }] })
  const stock = await add(t, torrentFile, file)
  const ours = await add(t, seededTorrent(torrentFile, file), file)

  for (const torrent of [stock, ours]) {
    assert.equal(torrent.done, true)
    assert.equal(torrent.infoHash, made.infoHash)
    assert.equal(torrent.name, made.name)
    assert.equal(torrent.length, length)
    assert.equal(torrent.pieces.length, PIECES)
    assert.equal(torrent.bitfield?.get(PIECES - 1), true)
    // What a peer with a magnet link is given (BEP 9).
    assert.deepEqual(parseMetainfo(torrent.torrentFile).info, new Uint8Array(made.info))
  }
  assert.deepEqual(ours.bitfield?.buffer, stock.bitfield?.buffer)
  // Should the engine begin to keep objects here, a thousand shards would take half a gigabyte more again.
  assert.equal((ours.pieces as unknown as Uint8Array).byteLength, PIECES)
  assert.ok([0, 1, PIECES - 1].every((index) => !ours.pieces[index]))
})

async function add(
  t: { after(step: () => unknown): void },
  torrentId: Uint8Array | ParsedTorrent,
  file: ServedFile,
): Promise<Torrent> {
  const client = new WebTorrent({
    dht: false,
    tracker: false,
    lsd: false,
    utp: false,
    natUpnp: false,
    natPmp: false,
    utPex: true,
    webSeeds: false,
    secure: 1,
    maxConns: 1,
    uploadLimit: -1,
    torrentPort: { port: 0, host: '127.0.0.1' },
  })
  t.after(() => new Promise<void>((resolve) => client.destroy(() => resolve())))
  const torrent = client.add(torrentId, {
    announce: [],
    skipVerify: true,
    store: InPlaceStore,
    storeOpts: { file, cache: new WindowCache() },
    storeCacheSlots: 0,
    uploads: 1,
  })
  await once(torrent, 'done')
  return torrent
}
