/** Minutes of sleep for a download, its host and the bootstrap, one after the other and all at once. */
import { startTrio, suspend } from '../faults/suspend.ts'
import { soak } from '../helpers/soak.ts'

const MIB = 1024 * 1024
const ASLEEP_MS = 150_000

soak('sleep', { minutes: 15 }, async (t, { report }) => {
  const trio = await startTrio(t, { bytes: 12 * MIB, timeoutSeconds: 60 })
  const { get, host, bootstrap } = trio
  let sleeps = 0
  const sleep = async (...sleepers: Parameters<typeof suspend>[0]): Promise<void> => {
    await suspend(sleepers, ASLEEP_MS)
    sleeps++
    report({ sleeps, secondsEach: ASLEEP_MS / 1_000 })
  }
  for (const sleepers of [[get], [get, host, bootstrap]]) {
    await trio.more(MIB)
    await sleep(...sleepers)
  }
  await trio.arrives()
  // One alone, while nobody fetches: it is found and serves when it is back.
  for (const sleeper of [bootstrap, host]) {
    await sleep(sleeper)
    await trio.again()
  }
})
