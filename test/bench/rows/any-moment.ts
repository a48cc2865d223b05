/**
 * libtorrent's seeder reads block by block until its clock's next second has told it how fast a connection is: a bare
 * puller draws 230 MB/s from it before, and 1,300 after. How much of that second a download meets is chance; left to how
 * long the runs before it took, it would be the same for one contender every time.
 */
import { setTimeout as delay } from 'node:timers/promises'

const CLOCK_MS = 1_000

export const anyMoment = (): Promise<void> => delay(Math.random() * CLOCK_MS)
