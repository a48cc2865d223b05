/** The queue of a peer's requests behaves like a list, whatever is done to it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestQueue } from '../../src/swarm/seeding/request-queue.ts'
import { TEST_SEED } from '../helpers/random.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'

type Request = readonly [piece: number, offset: number, length: number]

const listed = (queue: RequestQueue): Request[] =>
  Array.from({ length: queue.length }, (_, at) => [queue.piece(at), queue.offset(at), queue.bytes(at)])

test('ten thousand random steps leave what a plain list has', (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const random = new SeededBytes(TEST_SEED)
  const queue = new RequestQueue()
  let list: Request[] = []
  for (let step = 0; step < 10_000; step++) {
    const [what = 0, a = 0, b = 0] = random.next(3)
    if (what < 150) {
      const request: Request = [a, b * 16_384, 2 ** 31 - 1 - a]
      queue.push(...request)
      list.push(request)
    } else if (what < 200) {
      const count = Math.min(a % 8, list.length)
      queue.drop(count)
      list = list.slice(count)
    } else if (what < 255) {
      const request = list[b % Math.max(1, list.length)] ?? ([9, 9, 9] as const)
      const at = list.findIndex((other) => other.every((word, index) => word === request[index]))
      assert.equal(queue.remove(...request), at >= 0)
      if (at >= 0) list.splice(at, 1)
    } else {
      queue.clear()
      list = []
    }
    assert.equal(queue.length, list.length)
    if (step % 50 === 0) assert.deepEqual(listed(queue), list)
  }
  assert.deepEqual(listed(queue), list)
})
