/** Who is answered while others ask too much. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DatagramLimit } from '../../src/swarm/dht/datagram-limit.ts'

/** Asks `count` times at the same moment; gives how many were admitted. */
function ask(
  limit: DatagramLimit,
  address: string,
  count: number,
  kind: 'query' | 'other' = 'query',
): number {
  let admitted = 0
  for (let number = 0; number < count; number++) if (limit.admits(address, kind)) admitted++
  return admitted
}

test('one address gets so much of a second, and the next second as much again', () => {
  let now = 0
  const limit = new DatagramLimit(() => now)
  assert.equal(ask(limit, '10.0.0.1', 50_000), 1_000)
  assert.equal(ask(limit, '10.0.0.2', 500), 500)
  now = 1_000
  assert.equal(ask(limit, '10.0.0.1', 1_500), 1_000)
})

test('a hundred that flood leave room for one that asks little', () => {
  const limit = new DatagramLimit(() => 0)
  let flood = 0
  let honest = 0
  for (let round = 0; round < 40; round++) {
    for (let attacker = 0; attacker < 100; attacker++) flood += ask(limit, `10.0.1.${attacker}`, 100)
    honest += ask(limit, '10.0.0.1', 1)
  }
  assert.ok(flood <= 5_000)
  // All that was left when the first of them had taken half of the budget: 20 for each address.
  assert.equal(honest, 20)
})

test('forged addresses without end do not keep out one that has proved itself', () => {
  const limit = new DatagramLimit(() => 0)
  limit.prove('10.0.0.1')
  for (let number = 0; number < 200_000; number++)
    limit.admits(`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`, 'query')
  assert.equal(ask(limit, '10.0.0.1', 400), 400)
  assert.equal(ask(limit, '192.0.2.1', 10), 0, 'who has not shares the fate of the forged')
})

test('as many answers as were asked for are looked at, however many that is, and few others', () => {
  let now = 0
  const limit = new DatagramLimit(() => now)
  ask(limit, '10.0.0.1', 100_000)
  for (let number = 0; number < 9_000; number++) limit.asked('10.0.0.1')
  assert.equal(ask(limit, '10.0.0.1', 50_000, 'other'), 9_000 + 500)
  assert.equal(ask(limit, '10.0.0.2', 50_000, 'other'), 500)
  limit.asked('10.0.0.3')
  now = 2_500
  limit.asked('10.0.0.4')
  assert.ok(ask(limit, '10.0.0.3', 1, 'other') === 1)
  now = 5_000
  limit.asked('10.0.0.4')
  now = 7_500
  limit.asked('10.0.0.4')
  for (let number = 0; number < 100; number++) ask(limit, `10.0.1.${number}`, 500, 'other')
  assert.equal(ask(limit, '10.0.0.4', 4, 'other'), 2, 'what was asked long ago is forgotten')
})
