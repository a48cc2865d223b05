/** The memory budget of uploads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WindowCache } from '../../src/swarm/seeding/window-cache.ts'
import { until } from '../helpers/until.ts'

test('keeps to its budget and forgets what was not used for longest', () => {
  const cache = new WindowCache(300)
  for (const key of ['a:1', 'b:1', 'c:1']) cache.set(key, Buffer.alloc(100))
  assert.ok(cache.get('a:1'))
  cache.set('d:1', Buffer.alloc(100))
  assert.equal(cache.bytes, 300)
  assert.deepEqual(
    ['a:1', 'b:1', 'c:1', 'd:1'].map((key) => cache.get(key) !== undefined),
    [true, false, true, true],
  )
})

test('a window set again counts once, one beyond the budget not at all', () => {
  const cache = new WindowCache(300)
  cache.set('a:1', Buffer.alloc(100))
  cache.set('a:1', Buffer.alloc(200))
  assert.equal(cache.bytes, 200)
  cache.set('b:1', Buffer.alloc(301))
  assert.equal(cache.bytes, 0)
  assert.equal(cache.get('b:1'), undefined)
})

test('clears one shard and no other', () => {
  const cache = new WindowCache(300)
  for (const key of ['a:1', 'a:2', 'ab:1']) cache.set(key, Buffer.alloc(10))
  cache.clear('a:')
  assert.equal(cache.bytes, 10)
  assert.ok(cache.get('ab:1'))
})

test('four reads at once, in the order they came, and a failed one frees its place', async () => {
  const cache = new WindowCache()
  const started: number[] = []
  const running = Array.from({ length: 10 }, (_, index) => {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const read = cache.read(() => {
      started.push(index)
      return promise
    })
    return { read, end: index % 2 === 0 ? () => resolve(index) : () => reject(new Error(`no ${index}`)) }
  })
  await until(() => started.length === 4, { timeoutMs: 30_000 })
  for (const [index, { read, end }] of running.entries()) {
    const ended = read.catch((error: Error) => error.message)
    end()
    assert.equal(await ended, index % 2 === 0 ? index : `no ${index}`)
    const expected = Math.min(10, index + 5)
    await until(() => started.length === expected, { timeoutMs: 30_000 })
  }
  assert.deepEqual(started, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.equal(await cache.read(async () => 'free again'), 'free again')
})

test('memory that nobody has asked for again makes room for what is given now', () => {
  const cache = new WindowCache()
  for (let length = 1; length <= 100; length++) cache.give(Buffer.alloc(length))
  const window = Buffer.alloc(1_000)
  cache.give(window)
  assert.equal(cache.take(1_000), window)
})
