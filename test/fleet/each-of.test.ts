/** Work on many things, a few at a time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eachOf } from '../../src/fleet/each-of.ts'

test('results are in order, and no more are under way than allowed', async () => {
  let [running, most] = [0, 0]
  const doubled = await eachOf([1, 2, 3, 4, 5], 2, async (number) => {
    most = Math.max(most, ++running)
    for (let turn = number; turn < 6; turn++) await Promise.resolve() // the later, the quicker
    running--
    return number * 2
  })
  assert.deepEqual(doubled, [2, 4, 6, 8, 10])
  assert.equal(most, 2)
  assert.deepEqual(await eachOf([], 2, async () => 1), [])
})

test('after an error nothing more is begun', async () => {
  const begun: number[] = []
  const slow = Promise.withResolvers<void>()
  const work = eachOf([1, 2, 3, 4], 2, async (number) => {
    begun.push(number)
    if (number === 1) throw new Error('no')
    await slow.promise
  })
  await assert.rejects(work, /no/)
  slow.resolve()
  await new Promise(setImmediate)
  assert.deepEqual(begun, [1, 2])
})
