/** Hundreds of kills: 200 of a download, 50 of a host, 50 of a bootstrap, unless the time is over before. */
import { killDownloads } from '../faults/get-kills.ts'
import { killBootstraps, killHosts } from '../faults/host-kills.ts'
import { Random } from '../helpers/random.ts'
import { soak } from '../helpers/soak.ts'

const GET_KILLS = 200
const SERVICE_KILLS = 50
/** Of each, also when the time is over before its turn: what was not tried has not held. */
const LEAST_KILLS = 4
const MIB = 1024 * 1024

soak('kill -9 anywhere', { minutes: 30 }, async (t, { seed, hasTime, report }) => {
  const upTo =
    (most: number) =>
    (kills: number): boolean =>
      kills >= most || (kills >= LEAST_KILLS && !hasTime())
  const random = new Random(seed)
  await t.test('get', async (t) => {
    const options = { bytes: 8 * MIB, longestMs: 2_500, enough: upTo(GET_KILLS) }
    const { kills, ...figures } = await killDownloads(t, random, options)
    report({ getKills: kills, ...figures })
  })
  await t.test('seed', async (t) => {
    const { kills, listening, states } = await killHosts(t, random, upTo(SERVICE_KILLS))
    report({ seedKills: kills, seedListening: listening, seedStatesRead: states })
  })
  await t.test('bootstrap', async (t) => {
    const { kills, listening, states } = await killBootstraps(t, random, upTo(SERVICE_KILLS))
    report({ bootstrapKills: kills, bootstrapListening: listening, bootstrapStatesRead: states })
  })
})
