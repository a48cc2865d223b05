/** What a replicating host remembers: across restarts its replicas, for as long as it runs what went wrong. */
import assert from 'node:assert/strict'
import { mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DiskError, FailedError, InvalidDataError, NotFoundError, UsageError } from '../../../src/errors.ts'
import { Partial } from '../../../src/fleet/download/partial.ts'
import { FetchMemory } from '../../../src/fleet/replication/fetch-memory.ts'
import { endingOf, FetchStopped } from '../../../src/fleet/replication/replica-ending.ts'
import { ReplicaRoom } from '../../../src/fleet/replication/replica-room.ts'
import { ReplicaStock } from '../../../src/fleet/replication/replica-stock.ts'
import type { InfoHash } from '../../../src/metainfo/info-hash.ts'
import { temporaryFolder } from '../../helpers/temp.ts'
import { offered } from './simulated-fleet.ts'

const [KEPT, HALF, GONE] = [
  offered(1, { length: 100 }),
  offered(2, { length: 200 }),
  offered(3, { length: 400 }),
]

interface Home {
  readonly folder: string
  readonly warnings: string[]
  readonly open: () => Promise<ReplicaStock>
}

async function makeHome(t: TestContext): Promise<Home> {
  const stateDir = await temporaryFolder(t)
  const folder = join(stateDir, 'shards')
  await mkdir(folder)
  const warnings: string[] = []
  const log = { info() {}, warn: (line: string) => void warnings.push(line) }
  return { folder, warnings, open: () => ReplicaStock.open({ folder, stateDir, log }) }
}

/** Something of a download that is not under way. */
async function fetchHalf(folder: string, infoHash: InfoHash): Promise<void> {
  const partial = await Partial.open(folder, infoHash)
  await writeFile(partial.path, Buffer.alloc(4096, 1))
  await partial.release()
}

test('replicas are counted over restarts, as long as they stand there', async (t) => {
  const { folder, open, warnings } = await makeHome(t)
  const stock = await open()
  for (const shard of [KEPT, GONE]) {
    stock.begun(shard)
    await writeFile(join(folder, shard.name), Buffer.alloc(shard.length))
    stock.kept(shard)
  }
  stock.begun(HALF)
  assert.equal(stock.keptBytes(), 500, 'what is under way is counted by who fetches it')
  await fetchHalf(folder, HALF.infoHash)
  await stock.paused(HALF.infoHash)
  assert.deepEqual([stock.keptBytes(), stock.heldBytes(HALF.infoHash)], [4596, 4096])
  await stock.saved()

  await rm(join(folder, GONE.name))
  const again = await open()
  assert.deepEqual([again.keptBytes(), again.heldBytes(HALF.infoHash)], [4196, 4096])
  again.came(KEPT.infoHash)
  assert.ok(again.isClosed(KEPT.infoHash) && again.isSeeded(KEPT.infoHash))
  again.went(KEPT.infoHash)
  assert.ok(again.isClosed(KEPT.infoHash) && !again.isSeeded(KEPT.infoHash), 'not fetched again')
  assert.equal(again.keptBytes(), 4096)
  await again.saved()
  assert.ok(!(await open()).isClosed(KEPT.infoHash), 'a restart forgets who removed what')
  assert.deepEqual(warnings, [])
})

test('half-fetched files are removed when they are not needed', async (t) => {
  const { folder, open } = await makeHome(t)
  const stock = await open()
  for (const { infoHash, ...shard } of [KEPT, HALF, GONE]) {
    stock.begun({ infoHash, ...shard })
    await fetchHalf(folder, infoHash)
    await stock.paused(infoHash)
  }
  stock.came(KEPT.infoHash) // it came another way
  const asked: string[] = []
  await stock.tidy(({ infoHash, name, model }) => {
    asked.push(`${name} ${model}`)
    return infoHash === HALF.infoHash
  })
  assert.deepEqual(asked, ['model-2.gguf model-2', 'model-3.gguf model-3'])
  const held = [KEPT, HALF, GONE].map(({ infoHash }) => stock.heldBytes(infoHash))
  assert.deepEqual(held, [0, 4096, 0])
  await stock.discard(HALF.infoHash)
  assert.equal(stock.keptBytes(), 0)
})

test('a kill between the name and the note, a fetch of which nothing is left, a damaged ledger', async (t) => {
  const { folder, open, warnings } = await makeHome(t)
  const stock = await open()
  stock.begun(KEPT)
  stock.begun(GONE)
  await writeFile(join(folder, KEPT.name), Buffer.alloc(KEPT.length))
  await stock.saved()
  const after = await open()
  assert.equal(after.keptBytes(), KEPT.length)
  await after.saved()

  const file = join(folder, '..', 'replicas.json')
  const text = await readFile(file, 'utf8')
  const evil = text.replaceAll(KEPT.name, '../../x')
  await writeFile(file, evil)
  assert.equal((await open()).keptBytes(), 0)
  await truncate(file, 20)
  assert.equal((await open()).keptBytes(), 0)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /replicas\.json is damaged/)
  await rm(file)
  await mkdir(file)
  assert.equal((await open()).keptBytes(), 0)
  assert.match(warnings[1] ?? '', /replicas\.json .*cannot be read/)
})

test('failures are retried later each time, refusals never, unless something else is said', () => {
  const memory = new FetchMemory()
  const waits = Array.from({ length: 9 }, () => {
    memory.failed(HALF.infoHash, 1_000)
    return (memory.retryAtMs(HALF.infoHash) - 1_000) / 1_000
  })
  assert.deepEqual(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600])
  memory.forgive(HALF.infoHash)
  assert.equal(memory.retryAtMs(HALF.infoHash), 0)
  memory.refuse(KEPT)
  assert.ok(memory.isRefused({ ...KEPT, state: 'fetching', verifiedBytes: 3, model: 'x' }))
  assert.ok(!memory.isRefused({ ...KEPT, sha256: 'b'.repeat(64) }))
  memory.freed(KEPT.name)
  assert.ok(!memory.isRefused(KEPT))
})

test('what is remembered is bounded, the oldest is forgotten', () => {
  const memory = new FetchMemory()
  for (let number = 0; number < 30_000; number++) memory.refuse({ ...KEPT, name: `${number}.gguf` })
  assert.ok(!memory.isRefused({ ...KEPT, name: '0.gguf' }))
  assert.ok(memory.isRefused({ ...KEPT, name: '29999.gguf' }))
})

test('a thing is told once, or so often', () => {
  const memory = new FetchMemory()
  assert.deepEqual([memory.mayTell('a', 0), memory.mayTell('a', 9e9)], [true, false])
  assert.deepEqual(
    [memory.mayTell('b', 0, 10), memory.mayTell('b', 9, 10), memory.mayTell('b', 10, 10)],
    [true, false, true],
  )
})

test('what follows from each end', () => {
  const next = (error: unknown) => {
    const { code, keeps, next, blames } = endingOf(error)
    return [code, keeps, next, blames]
  }
  assert.deepEqual(next(new NotFoundError('not-found', '')), ['not-found', true, 'retry', true])
  assert.deepEqual(next(new InvalidDataError('occupied', '')), ['occupied', false, 'refuse', false])
  assert.deepEqual(next(new InvalidDataError('corrupt', '')), ['corrupt', true, 'retry', false])
  assert.deepEqual(next(new UsageError('many-files', '')), ['many-files', false, 'refuse', false])
  assert.deepEqual(next(new DiskError('ENOSPC', '')), ['no-room', true, 30_000, false])
  assert.deepEqual(next(new DiskError('EROFS', '')), ['EROFS', true, 'retry', false])
  assert.deepEqual(next(new FailedError('locked', '')), ['locked', true, 'retry', false])
  assert.deepEqual(next(new TypeError('bug')), ['failed', true, 'retry', false])
  assert.deepEqual(next(new FetchStopped('surplus')), ['surplus', false, 10_000, false])
  assert.deepEqual(next(new FetchStopped('no-room')), ['no-room', true, 0, false])
  assert.equal(endingOf(new FetchStopped('stopping')).reason, null)
})

test('whether a name is free', async (t) => {
  const folder = await temporaryFolder(t)
  const room = await ReplicaRoom.open(folder, 0)
  assert.equal(room.minFreeBytes, 16 * 1024 * 1024, 'a download needs that itself')
  const entry = (path: string, state: 'settling' | 'seeding' | 'rejected') => ({
    path: join(folder, path),
    relativePath: path,
    state,
    length: 1,
  })
  await writeFile(join(folder, 'a.gguf'), '')
  await mkdir(join(folder, 'folder.gguf'))
  assert.equal(await room.standing('b.gguf', []), 'free')
  assert.equal(await room.standing('b.gguf', [entry('sub/b.gguf', 'seeding')]), 'free')
  assert.equal(await room.standing('b.gguf', [entry('sub/b.gguf', 'settling')]), 'undecided')
  assert.equal(await room.standing('a.gguf', []), 'undecided', 'the library has not seen it yet')
  assert.equal(await room.standing('a.gguf', [entry('a.gguf', 'settling')]), 'undecided')
  assert.equal(await room.standing('a.gguf', [entry('a.gguf', 'seeding')]), 'occupied')
  assert.equal(await room.standing('a.gguf', [entry('a.gguf', 'rejected')]), 'occupied')
  assert.equal(await room.standing('folder.gguf', []), 'occupied')
  assert.ok((await room.freeBytes())! > 0)
  await mkdir(`${folder}-other`) // while the first is there: inodes are used again
  await rm(folder, { recursive: true })
  assert.equal(await room.freeBytes(), null)
  await rename(`${folder}-other`, folder)
  assert.equal(await room.freeBytes(), null, 'another folder')
})
