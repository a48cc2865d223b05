/**
 * What can happen to a shard while it is served, each with what must follow. A peer reads each shard all the time and
 * must never get a byte that is not the shard's; others must not notice.
 */
import assert from 'node:assert/strict'
import { chmod, copyFile, mkdir, open, readFile, rename, rm, truncate, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import type { CliEvent } from '../helpers/process.ts'
import { Random } from '../helpers/random.ts'
import { injectInto } from '../helpers/strace.ts'
import { type Host, PATIENCE_MS, type Seeding, scratchFolder, startHost } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { HashingPeer } from './hashing-peer.ts'

/** Nobody: peers come by themselves. */
const NO_BOOTSTRAP = '127.0.0.1:9'
const SHARD_BYTES = 3_000_000
/** Reads of the system's that a host makes of shards. */
const READS = ['read', 'pread64', 'readv', 'preadv', 'preadv2']
/** Of every shard; whole seconds can be put back exactly, and then only its ctime tells that a file was written to. */
const WRITTEN_AT = new Date('2026-01-01')
/** A rescan (60 s) and what a busy machine takes. */
const RECOVERY_MS = 180_000

/** One shard that is served and read while something happens to it. */
interface Victim {
  readonly name: string
  readonly path: string
  /** What it was, elsewhere. */
  readonly original: string
  readonly first: Seeding
  /** Its own, as victims suffer at once: in whatever order they do, the seed decides what happens to each. */
  readonly random: Random
}

/** A fault, from the moment it comes until the shard is served again as it was. */
export interface DiskFault {
  readonly name: string
  readonly needsStrace?: true
  readonly happen: (world: DiskWorld, victim: Victim) => Promise<void>
}

/** A host, its victims and who reads them. */
export interface DiskWorld {
  readonly t: TestContext
  readonly host: Host
  readonly folder: string
  readonly shards: string
  /** The victim called `name` and its reader. */
  victim(name: string): Promise<{ readonly victim: Victim; readonly reader: HashingPeer }>
  /** All readers so far. */
  readonly readers: readonly HashingPeer[]
}

/** Starts a host on one shard for each name and on `sound.gguf`, which nothing happens to. */
export async function diskWorld(
  t: TestContext,
  random: Random,
  names: readonly string[],
): Promise<DiskWorld> {
  const folder = await scratchFolder(t)
  const [shards, originals] = [join(folder, 'shards'), join(folder, 'originals')]
  for (const made of [shards, originals]) await mkdir(made)
  for (const name of ['sound.gguf', ...names]) {
    await writeModel(join(originals, name), { bytes: SHARD_BYTES, seed: random.below(1_000_000), name })
    await copyFile(join(originals, name), join(shards, name))
    await utimes(join(shards, name), WRITTEN_AT, WRITTEN_AT)
  }
  const host = await startHost(t, shards, { bootstrap: NO_BOOTSTRAP })
  const port = Number((await host.address()).split(':')[1])
  const readers: HashingPeer[] = []
  const victim = async (name: string) => {
    const own = new Random(random.below(1_000_000_000))
    const [first, bytes] = await Promise.all([host.seeding(name), readFile(join(originals, name))])
    const reader = HashingPeer.start(t, port, { ...first, bytes })
    readers.push(reader)
    const paths = { path: join(shards, name), original: join(originals, name) }
    return { victim: { name, ...paths, first, random: own }, reader }
  }
  const world = { t, host, folder, shards, victim, readers }
  await world.victim('sound.gguf')
  return world
}

/** Lets one fault happen to its own shard while it is being read. */
export async function suffer(world: DiskWorld, fault: DiskFault, name: string): Promise<void> {
  const { victim, reader } = await world.victim(name)
  if (fault.needsStrace === undefined) await moreRead(reader, 20)
  await fault.happen(world, victim)
  await moreRead(reader, 20)
  reader.stop()
  assert.deepEqual(reader.wrong, [])
}

/** Nobody got a wrong byte, and nothing was told of the shard that nothing happened to. */
export async function assertUnharmed({ host, readers }: DiskWorld): Promise<void> {
  const [sound] = readers
  await moreRead(sound!, 20)
  for (const reader of readers) assert.deepEqual(reader.wrong, [])
  assert.deepEqual(host.story('sound.gguf'), ['hashing', 'seeding'])
  assert.doesNotMatch(host.cli.stderr, /\n\s+at |\(node:\d+\)/)
}

const moreRead = (reader: HashingPeer, blocks: number): Promise<unknown> => {
  const before = reader.right
  return until(() => reader.right >= before + blocks, {
    timeoutMs: PATIENCE_MS,
    what: `${blocks} more blocks`,
  })
}

/** The next event of a file after `since` events, of the name and with the words in its reason. */
async function told(
  { host }: DiskWorld,
  { name }: Victim,
  since: number,
  wanted: CliEvent['event'],
  words = /./,
  timeoutMs = PATIENCE_MS,
): Promise<CliEvent> {
  return until(
    () =>
      host.cli
        .events()
        .slice(since)
        .find((event) => {
          if (event.event !== wanted || !('file' in event) || event.file !== name) return false
          return words.test('reason' in event ? event.reason : 'seeding')
        }),
    { timeoutMs, what: () => `${wanted} of ${name} (${words}) among ${JSON.stringify(host.story(name))}` },
  )
}

/** Waits until the shard is seeded again with the infohash it had. */
async function back(world: DiskWorld, victim: Victim, since: number, timeoutMs?: number): Promise<void> {
  const again = await told(world, victim, since, 'seeding', undefined, timeoutMs)
  assert.equal('infoHash' in again && again.infoHash, victim.first.infoHash)
}

const eventsSoFar = ({ host }: DiskWorld): number => host.cli.events().length

/** Something that shows at once in the file's times. */
const withdrawnBy =
  (happen: (world: DiskWorld, victim: Victim) => Promise<void>, reason: RegExp) =>
  async (world: DiskWorld, victim: Victim): Promise<void> => {
    const before = eventsSoFar(world)
    await happen(world, victim)
    await told(world, victim, before, 'withdrawn', reason)
    // A copy that takes the place of what is wrong, as a person would mend it.
    const mended = eventsSoFar(world)
    const copy = join(world.folder, victim.name)
    await copyFile(victim.original, copy)
    await rename(copy, victim.path)
    await back(world, victim, mended)
  }

async function flipByte(_world: DiskWorld, { path, random }: Victim): Promise<void> {
  const at = random.between(4_096, SHARD_BYTES - 1)
  await using file = await open(path, 'r+')
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
  await file.write(Buffer.from([buffer[0]! ^ 0xff]), 0, 1, at)
}

export const DISK_FAULTS: readonly DiskFault[] = [
  {
    name: 'cut short',
    happen: withdrawnBy(
      (_world, { path, random }) => truncate(path, random.between(1, SHARD_BYTES - 1)),
      /changed|shorter/,
    ),
  },
  {
    name: 'overwritten in place',
    happen: withdrawnBy(flipByte, /changed|not what was hashed/),
  },
  {
    name: 'overwritten, with its old times put back',
    happen: withdrawnBy(async (world, victim) => {
      await flipByte(world, victim)
      await utimes(victim.path, WRITTEN_AT, WRITTEN_AT)
    }, /changed|not what was hashed/),
  },
  {
    name: 'replaced by another',
    happen: withdrawnBy(async ({ folder }, { path, random }) => {
      const other = join(folder, `other-${random.below(1_000_000)}.gguf`)
      await writeModel(other, { bytes: SHARD_BYTES, seed: 99 })
      await rename(other, path)
    }, /changed|another file/),
  },
  {
    name: 'deleted',
    happen: withdrawnBy((_world, { path }) => rm(path), /removed|no such file/),
  },
  {
    name: 'closed by its mode, and opened again',
    happen: async (world, victim) => {
      const before = eventsSoFar(world)
      await chmod(victim.path, 0)
      await told(world, victim, before, 'withdrawn', /changed|permission/)
      // Root reads it all the same, and finds it unchanged.
      if (process.getuid?.() !== 0) await told(world, victim, before, 'rejected', /permission denied/)
      await chmod(victim.path, 0o644)
      await back(world, victim, before)
    },
  },
]

/** A disk that gives errors for one file, and then no more. */
export const READ_ERRORS: DiskFault = {
  name: 'read errors',
  needsStrace: true,
  happen: async (world, victim) => {
    const before = eventsSoFar(world)
    const heal = await injectInto(world.t, world.host.cli.pid, {
      calls: READS,
      fault: 'error=EIO',
      path: victim.path,
    })
    await told(world, victim, before, 'withdrawn', /EIO|read error/)
    await told(world, victim, before, 'rejected', /the disk reported a read error; check the disk/)
    const bad = eventsSoFar(world)
    await heal()
    await back(world, victim, bad, RECOVERY_MS)
    const rejections = world.host.story(victim.name).filter((event) => event === 'rejected')
    assert.equal(rejections.length, 1, 'told once')
  },
}
