/** Processes that sleep, and clocks that jump, in the short form; `npm run test:soak suspend` takes minutes for it. */
import { test } from 'node:test'
import { FAKETIME, JumpingClock } from '../helpers/jumping-clock.ts'
import { skipUnless } from '../helpers/requirements.ts'
import { startTrio, suspend } from './suspend.ts'

const MIB = 1024 * 1024
/** Longer than a download here waits for a byte. */
const ASLEEP_MS = 7_000

test('downloads go on after their process, their host and the bootstrap slept', async (t) => {
  const trio = await startTrio(t, { bytes: 10 * MIB, timeoutSeconds: 6 })
  await trio.more(MIB)
  await suspend([trio.get], ASLEEP_MS)
  await trio.more(MIB)
  // A host that sleeps for less than the download waits, and the bootstrap with it.
  await suspend([trio.host, trio.bootstrap], 4_000)
  await trio.more(MIB)
  // All of them: a machine that was closed and opened again.
  await suspend([trio.get, trio.host, trio.bootstrap], ASLEEP_MS)
  await trio.arrives()
  await trio.again()
})

test('a time of day that jumps forwards and back changes nothing', {
  skip: skipUnless(FAKETIME),
}, async (t) => {
  const clock = await JumpingClock.create(t)
  const trio = await startTrio(t, { bytes: 5 * MIB, timeoutSeconds: 10, env: clock.env })
  await trio.more(MIB)
  await clock.set('+1d')
  await trio.more(MIB)
  await clock.set('-2d')
  await trio.more(MIB)
  await clock.set('+400d')
  await trio.arrives()
  // Whatever the bootstrap has forgotten for its age, it is told again.
  await trio.again()
})
