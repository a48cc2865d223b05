/** Downloads over networks of all kinds of bad weather, with a partition in each. */
import { assertArrives, startScene } from '../faults/weather.ts'
import { Random } from '../helpers/random.ts'
import { soak } from '../helpers/soak.ts'
import { weatherNetwork } from '../helpers/weather.ts'

const MAX_ROUNDS = 20
const BYTES = 4_000_000

soak('bad networks', { minutes: 20 }, async (t, { seed, hasTime, report }) => {
  const random = new Random(seed)
  let [rounds, packets, packetsLost, worstSeconds] = [0, 0, 0, 0]
  while (hasTime() && rounds < MAX_ROUNDS) {
    rounds++
    const weather = {
      loss: random.between(0, 50) / 1_000,
      delayMs: random.between(0, 100),
      jitterMs: random.between(0, 60),
      duplicate: random.between(0, 30) / 1_000,
    }
    await t.test(`round ${rounds}: ${JSON.stringify(weather)}`, async (t) => {
      const network = await weatherNetwork(t, ['boot', 'seed', 'get'], random.below(1_000_000))
      await network.change(weather)
      const scene = await startScene(t, network, { bytes: BYTES, seed: random.below(1_000_000), limit: '1M' })
      const startedAt = performance.now()
      const got = scene.get('got')
      await scene.moved(got, BYTES / 10)
      // Who is cut off from whom, for a few seconds.
      await network.change({
        groups: random.pick([
          [0, 1, 0],
          [1, 0, 0],
          [0, 0, 1],
          [0, 1, 2],
        ]),
      })
      await scene.looks(got, random.between(4, 16))
      await network.change({ groups: [0, 0, 0] })
      await assertArrives(got, scene)
      worstSeconds = Math.max(worstSeconds, Math.round((performance.now() - startedAt) / 1_000))
      const { frames, lost } = await network.change({})
      packets += frames
      packetsLost += lost
    })
    report({ rounds, packets, packetsLost, worstSeconds })
  }
})
