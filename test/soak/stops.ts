/** Every command, stopped at hundreds of moments. */
import { STOPPABLES, stopOnce, stopWorld } from '../faults/stops.ts'
import { Random } from '../helpers/random.ts'
import { soak } from '../helpers/soak.ts'

const ROUNDS = 25

soak('stops at any moment', { minutes: 15 }, async (t, { seed, hasTime, report }) => {
  const random = new Random(seed)
  const world = await stopWorld(t)
  let [stops, longestMs, bySignal] = [0, 0, 0]
  for (let round = 1; round <= ROUNDS && hasTime(); round++) {
    for (const stoppable of STOPPABLES) {
      await t.test(`${stoppable.name}, ${round}`, async (t) => {
        const { tookMs, status } = await stopOnce(t, world, stoppable, random)
        stops++
        if (status.signal !== null) bySignal++
        longestMs = Math.max(longestMs, Math.round(tookMs))
      })
    }
    report({ stops, longestMs, endedBySignalItself: bySignal })
  }
})
