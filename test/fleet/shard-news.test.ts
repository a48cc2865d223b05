/** The news of a host's shards: which `.torrent` file each of them gets. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { SeedEvent } from '../../src/fleet/events.ts'
import { ShardNews } from '../../src/fleet/shard-news.ts'
import type { ShardFile } from '../../src/library/shard-library.ts'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const shardOf = (digit: string): ShardFile => ({
  infoHash: parseInfoHash(digit.repeat(40)),
  info: new Uint8Array(),
  name: 'm.gguf',
  length: 1,
  pieceLength: 16_384,
  pieces: new Uint8Array(20),
  path: '/m.gguf',
  relativePath: 'm.gguf',
  identity: { dev: 1n, ino: 1n, size: 1n, mtimeNs: 1n, ctimeNs: 1n },
  sha256: digit.repeat(64),
})

test('a shard that is replaced before its turn comes leaves its name to the next one', async (t) => {
  const torrentsDir = await temporaryFolder(t)
  const served = new Set<ShardFile>()
  const told: SeedEvent[] = []
  const news = new ShardNews({
    torrentsDir,
    advertise: [],
    webSeeds: [],
    torrentFileOf: ({ sha256 }) => Buffer.from(sha256),
    isServed: (infoHash, shard) =>
      shard === undefined ? [...served].some((one) => one.infoHash === infoHash) : served.has(shard),
    onEvent: (event) => told.push(event),
  })
  const [old, next] = [shardOf('a'), shardOf('b')]
  served.add(old)
  news.seeding(old)
  served.delete(old)
  news.forget(old.infoHash)
  served.add(next)
  news.seeding(next)
  await news.allTold()
  assert.deepEqual(await readdir(torrentsDir), ['m.gguf.torrent'])
  const [only, ...others] = told.flatMap((event) => (event.event === 'seeding' ? [event] : []))
  assert.deepEqual([only?.infoHash, others.length], [next.infoHash, 0])
  assert.equal(only?.torrentFile, join(torrentsDir, 'm.gguf.torrent'))
})
