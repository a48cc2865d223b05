/** Which piece a download begins next. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PieceHolder, PieceOrder } from '../../src/swarm/lane/piece-order.ts'

/** A peer that has some pieces, and proposes some. */
function holder(has: (index: number) => boolean, suggested: number[] = [], isGuiding = false): PieceHolder {
  return { has, nextSuggested: () => suggested.shift(), isGuiding }
}

const everything = holder(() => true)
const anything = (): boolean => true

test('from seeds, pieces come in sequence from the first', () => {
  const order = new PieceOrder(5, (index) => index === 1)
  const begin = (): number => order.begin(everything, anything)
  assert.deepEqual([begin(), begin(), begin()], [0, 2, 3])
  order.putBack(2)
  assert.deepEqual([begin(), begin(), begin()], [2, 4, -1])
})

test('when others download too, the header comes first, then a piece from anywhere', () => {
  const starts = Array.from({ length: 20 }, () => {
    const order = new PieceOrder(50, () => false)
    order.count(new Uint8Array(50), 1)
    assert.equal(order.begin(everything, anything), 0)
    return order.begin(everything, anything)
  })
  assert.ok(new Set(starts).size > 1, `all began at ${starts[0]}`)
})

test('when others download too, stretches in sequence from each peer, and each piece once', () => {
  const order = new PieceOrder(50, () => false)
  const first = order.begin(everything, anything)
  order.count(new Uint8Array(50), 1)
  assert.equal(first, 0)
  const rest = Array.from({ length: 49 }, () => order.begin(everything, anything))
  assert.equal(order.begin(everything, anything), -1)
  assert.equal(new Set(rest).size, 49)
  // Where a stretch meets what was begun, the next one is somewhere else: five of them are to be expected.
  const breaks = rest.filter((index, at) => at > 0 && index !== rest[at - 1]! + 1)
  assert.ok(breaks.length <= 20, `mostly in sequence: ${rest}`)
  order.putBack(17)
  assert.equal(order.begin(everything, anything), 17)
  for (const index of [first, ...rest]) order.arrived(index)
  assert.equal(order.left, 0)
})

test('who meets what another has just fetched goes on somewhere else, not at its heels', () => {
  const followers = Array.from({ length: 20 }, () => {
    const order = new PieceOrder(1_000, (index) => index < 500)
    order.count(new Uint8Array(1_000), 1)
    // Others have fetched all up to here, and are about to have the next ones.
    for (let index = 500; index < 900; index++) order.countPiece(index)
    return order.begin(everything, anything)
  })
  assert.ok(followers.every((index) => index >= 900))
  assert.ok(new Set(followers).size > 5, `they began at ${followers}`)
})

test('what fewest peers have comes first', () => {
  const order = new PieceOrder(8, (index) => index === 0)
  order.count(Uint8Array.from([1, 1, 1, 1, 1, 0, 1, 1]), 1)
  order.count(Uint8Array.from([1, 1, 1, 0, 1, 0, 1, 1]), 1)
  assert.equal(order.begin(everything, anything), 5)
  assert.equal(order.begin(everything, anything), 3)
  order.countPiece(2)
  const onlyTwo = holder((index) => index === 2)
  assert.equal(order.begin(onlyTwo, anything), 2)
  assert.equal(order.begin(onlyTwo, anything), -1)
  assert.equal(
    order.begin(everything, (index) => index === 7),
    7,
  )
})

test('what a seed proposes comes before what is rare, unless others have it by now', () => {
  const order = new PieceOrder(8, (index) => index === 0)
  order.count(Uint8Array.from([1, 1, 1, 0, 1, 0, 0, 0]), 1)
  const seed = holder(() => true, [6, 4, 99, -1, 0, 5])
  assert.equal(order.begin(seed, anything), 6)
  assert.equal(order.begin(seed, anything), 5)
  assert.ok([3, 7].includes(order.begin(seed, anything)), 'and after that what is rare')
})

test('a seed that proposes pieces is asked for nothing else that nobody has: it was proposed to others', () => {
  const order = new PieceOrder(8, (index) => index === 0)
  order.count(Uint8Array.from([1, 1, 0, 0, 0, 0, 0, 0]), 1)
  const guiding = holder(() => true, [5], true)
  assert.equal(order.begin(guiding, anything), 5)
  assert.equal(order.begin(guiding, anything), 1)
  assert.equal(order.begin(guiding, anything), -1)
  order.countPiece(6)
  assert.equal(order.begin(guiding, anything), 6)
})
