/** Everything that can happen to a file while it is served, again and again, and a disk that fails and recovers. */
import { assertUnharmed, DISK_FAULTS, diskWorld, READ_ERRORS, suffer } from '../faults/disk-faults.ts'
import { Random } from '../helpers/random.ts'
import { soak } from '../helpers/soak.ts'

/** Each has a host of its own, and every fault twice. */
const MAX_ROUNDS = 10

soak('disks', { minutes: 15 }, async (t, { seed, hasTime, report }) => {
  const random = new Random(seed)
  let [rounds, faults, blocks] = [0, 0, 0]
  while (hasTime() && rounds < MAX_ROUNDS) {
    rounds++
    const wanted = [...DISK_FAULTS, ...DISK_FAULTS, READ_ERRORS]
    await t.test(`round ${rounds}`, { concurrency: true }, async (t) => {
      const names = wanted.map((_, index) => `victim-${index}.gguf`)
      const world = await diskWorld(t, random, names)
      await Promise.all(wanted.map((fault, at) => t.test(fault.name, () => suffer(world, fault, names[at]!))))
      await assertUnharmed(world)
      faults += wanted.length
      blocks += world.readers.reduce((sum, { right }) => sum + right, 0)
    })
    report({ rounds, faults, blocksRead: blocks })
  }
})
