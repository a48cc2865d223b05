/** Bad networks: packets lost, late, out of order and doubled; the network in two; a host that moves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { skipWithout } from '../helpers/netns.ts'
import { TEST_SEED } from '../helpers/random.ts'
import { WEATHER, weatherNetwork } from '../helpers/weather.ts'
import { assertArrives, startScene } from './weather.ts'

const BYTES = 4_000_000
/** A mobile phone in a train. */
const STORM = { loss: 0.02, delayMs: 30, jitterMs: 25, duplicate: 0.01 }
const skip = skipWithout(WEATHER)

test('a storm, the network in two for a while, and a host that moves', { skip }, async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const network = await weatherNetwork(t, ['boot', 'seed', 'get'], TEST_SEED)
  await network.change(STORM)
  const scene = await startScene(t, network, { bytes: BYTES, seed: TEST_SEED, limit: '1M' })

  await t.test('fetched in the storm, over a partition in the middle', async (t) => {
    const got = scene.get('storm')
    await scene.moved(got, BYTES / 10)
    await network.change({ groups: [0, 1, 0] })
    await scene.looks(got, 8)
    await network.change({ groups: [0, 0, 0] })
    await assertArrives(got, scene)
    const { frames, lost, doubled, cut } = await network.change({})
    t.diagnostic(`${frames} packets, ${lost} lost, ${doubled} doubled, ${cut} cut off`)
    assert.ok(lost > frames / 200 && cut > 0, 'there was weather')
  })

  await network.change({ loss: 0, delayMs: 1, jitterMs: 0, duplicate: 0 })
  await t.test('the host moves to another address in the middle', async (t) => {
    const got = scene.get('moved')
    await scene.moved(got, BYTES / 10)
    const startedAt = performance.now()
    network.move(network.hosts[1]!)
    await assertArrives(got, scene)
    t.diagnostic(`done ${Math.round((performance.now() - startedAt) / 1_000)} s after the move`)
  })
})
