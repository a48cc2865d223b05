/** Minutes of sleep for a download, its host and the bootstrap, one after the other and all at once. */
import { startTrio, suspend } from '../faults/suspend.ts'
import { soak } from '../helpers/soak.ts'

const MIB = 1024 * 1024
const ASLEEP_MS = 150_000

soak('sleep', { minutes: 15 }, async (t, { report }) => {
  const trio = await startTrio(t, { bytes: 12 * MIB, timeoutSeconds: 60 })
  const { get, host, bootstrap } = trio
  let sleeps = 0
  for (const sleepers of [[get], [bootstrap], [get, host, bootstrap]]) {
    await trio.more(MIB)
    await suspend(sleepers, ASLEEP_MS)
    sleeps++
  }
  await trio.arrives()
  // The host alone, while nobody fetches: it is found and serves when it is back.
  await suspend([host], ASLEEP_MS)
  sleeps++
  await trio.again(t)
  report({ sleeps, secondsEach: ASLEEP_MS / 1_000 })
})
