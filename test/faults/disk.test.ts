/** Shards that go bad while they are served; `npm run test:soak disk` goes on with it, and has disks that fail. */
import { test } from 'node:test'
import { Random, TEST_SEED } from '../helpers/random.ts'
import { assertUnharmed, DISK_FAULTS, diskWorld, suffer } from './disk-faults.ts'

test('whatever happens to a file, no other byte leaves the host', { concurrency: true }, async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const names = DISK_FAULTS.map((_, index) => `victim-${index}.gguf`)
  const world = await diskWorld(t, new Random(TEST_SEED), names)
  // At once, as what takes time is the quiet that a host waits for.
  await Promise.all(
    DISK_FAULTS.map((fault, index) => t.test(fault.name, () => suffer(world, fault, names[index]!))),
  )
  await assertUnharmed(world)
  t.diagnostic(
    `${world.readers.reduce((sum, { right }) => sum + right, 0)} blocks were right, none was wrong`,
  )
})
