/** What one peer is told of a catalogue: all of it in pages, then each change once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CatalogueFeed } from '../../../src/fleet/membership/catalogue-feed.ts'
import type { InfoHash } from '../../../src/metainfo/info-hash.ts'
import type { CatalogueMessage, OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import { hashOf, shardOf } from '../../swarm-unit/catalogue-kit.ts'

type Page = Extract<CatalogueMessage, { type: 'shards' }>

function feedOf(count: number) {
  const offer = new Map<InfoHash, OfferedShard>()
  for (let number = 0; number < count; number++) offer.set(hashOf(number), shardOf(number))
  const pages: Page[] = []
  const peer = { hasRoom: true, send: (message: CatalogueMessage) => void pages.push(message as Page) }
  const feed = new CatalogueFeed(offer, peer)
  return { feed, offer, peer, pages: () => pages.splice(0) }
}

test('an empty catalogue is told, once', () => {
  const { feed, pages } = feedOf(0)
  feed.flush()
  assert.deepEqual(pages(), [{ type: 'shards', put: [], drop: [], isPartial: false }])
  feed.flush()
  assert.deepEqual(pages(), [])
  assert.ok(feed.isCurrent)
})

test('a large one comes in pages of 50, eight a round; only the last is not partial', () => {
  const { feed, pages } = feedOf(1_000)
  const rounds: Page[][] = []
  while (!feed.isCurrent) {
    feed.flush()
    rounds.push(pages())
  }
  assert.deepEqual(
    rounds.map(({ length }) => length),
    [8, 8, 4],
  )
  const all = rounds.flat()
  assert.ok(all.every(({ put }) => put.length === 50))
  assert.deepEqual(
    all.map(({ isPartial }) => isPartial),
    [...Array.from({ length: 19 }, () => true), false],
  )
  assert.equal(new Set(all.flatMap(({ put }) => put.map(({ infoHash }) => infoHash))).size, 1_000)
})

test('ten changes of one shard are one entry, and a shard that went before it was told is only withdrawn', () => {
  const { feed, offer, pages } = feedOf(2)
  feed.flush()
  pages()
  for (let bytes = 1; bytes <= 10; bytes++) {
    offer.set(hashOf(1), shardOf(1, { state: 'fetching', verifiedBytes: bytes }))
    feed.mark(hashOf(1))
  }
  offer.set(hashOf(7), shardOf(7))
  feed.mark(hashOf(7))
  offer.delete(hashOf(7))
  feed.mark(hashOf(7))
  feed.flush()
  const [page, ...more] = pages()
  assert.deepEqual(more, [])
  assert.equal(page?.put.length, 1)
  assert.equal(page.put[0]?.verifiedBytes, 10)
  assert.deepEqual(page.drop, [hashOf(7)])
})

test('what changes while the first pages go out is told as it is then', () => {
  const { feed, offer, pages } = feedOf(1_000)
  feed.flush()
  pages()
  offer.delete(hashOf(999))
  feed.mark(hashOf(999))
  offer.delete(hashOf(0)) // told already
  feed.mark(hashOf(0))
  while (!feed.isCurrent) feed.flush()
  const all = pages()
  assert.deepEqual(all.flatMap(({ drop }) => drop).sort(), [hashOf(0), hashOf(999)])
  assert.equal(all.at(-1)?.isPartial, false)
})

test('a peer that does not read is told nothing more until it does; changes do not pile up', () => {
  const { feed, offer, peer, pages } = feedOf(1_000)
  peer.hasRoom = false
  for (let round = 0; round < 100; round++) {
    offer.set(hashOf(1), shardOf(1, { state: 'fetching', verifiedBytes: round }))
    feed.mark(hashOf(1))
    feed.flush()
  }
  assert.deepEqual(pages(), [])
  peer.hasRoom = true
  while (!feed.isCurrent) feed.flush()
  assert.equal(pages().flatMap(({ put }) => put).length, 1_000)
})
