/** Downloads written and read back: in any order, after a crash, wrong, changed, given up. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, renameSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { identityOf, sameIdentity } from '../../src/library/identity.ts'
import { type ReadBackFile, ReadBackThreads } from '../../src/library/read-back-threads.ts'
import { afterTest } from '../helpers/after-test.ts'
import { piecesOf } from '../helpers/pieces.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const KiB = 1024
const NEVER = new AbortController().signal

interface World {
  readonly path: string
  readonly content: Buffer
  readonly pieces: Buffer
  readonly file: ReadBackFile
  readonly threads: ReadBackThreads
  /** The piece as it should be, or these bytes in its place, is to be written and checked. */
  arrive(index: number, bytes?: Uint8Array): Promise<boolean>
}

interface Options {
  readonly length?: number
  readonly pieceLength?: number
  /** Pieces an earlier run left, and others that it left damaged. */
  readonly left?: readonly number[]
  readonly rotten?: readonly number[]
  readonly workerUrl?: URL
}

async function world(
  t: TestContext,
  { length = 300 * KiB + 77, pieceLength = 64 * KiB, left = [], rotten = [], workerUrl }: Options = {},
): Promise<World> {
  const path = join(await temporaryFolder(t), 'data')
  const content = Buffer.from(new SeededBytes(7).next(length))
  const handle: FileHandle = await open(path, 'w+')
  await handle.truncate(length)
  const pieceOf = (index: number): Buffer => content.subarray(index * pieceLength, (index + 1) * pieceLength)
  for (const index of left) await handle.write(pieceOf(index), 0, null, index * pieceLength)
  for (const index of rotten) await handle.write(Buffer.alloc(1_000, 0xee), 0, 1_000, index * pieceLength)
  const threads = new ReadBackThreads(workerUrl)
  afterTest(t, async () => {
    await threads.stop()
    await handle.close()
  })
  const pieces = piecesOf(content, pieceLength)
  const file = threads.open({ path, length, pieceLength, pieces, left: [...left, ...rotten] })
  const arrive = (index: number, bytes: Uint8Array = pieceOf(index)): Promise<boolean> =>
    file.put(index, bytes)
  return { path, content, pieces, file, threads, arrive }
}

for (const [name, order] of [
  ['in sequence', [0, 1, 2, 3, 4]],
  ['backwards', [4, 3, 2, 1, 0]],
  ['from the middle on', [2, 3, 4, 0, 1]],
  ['in pairs the wrong way round', [1, 0, 3, 2, 4]],
] as const) {
  test(`pieces that arrive ${name} give the hashes of the file`, async (t) => {
    for (const pieceLength of [64 * KiB, 300 * KiB]) {
      const length = 4 * pieceLength + 77
      const { arrive, file, content, pieces, path } = await world(t, { length, pieceLength })
      for (const index of order) assert.equal(await arrive(index), true)
      const result = await file.end(NEVER)
      assert.ok(result.kind === 'hashed')
      assert.equal(result.sha256, createHash('sha256').update(content).digest('hex'))
      assert.deepEqual(Buffer.from(result.pieces), pieces)
      assert.equal(result.length, length)
      assert.ok(sameIdentity(result.identity, await identityOf(path)))
    }
  })
}

test('a wrong piece is told, and leaves no trace when the right one comes', async (t) => {
  const { arrive, file, content } = await world(t)
  for (const index of [0, 1, 2, 3, 4]) {
    assert.equal(await arrive(index, Buffer.alloc(100, index)), false)
    assert.equal(await arrive(index), true)
  }
  const result = await file.end(NEVER)
  assert.ok(result.kind === 'hashed' && result.sha256 === createHash('sha256').update(content).digest('hex'))
})

test('what an earlier run left is read too, and what rotted since is seen', async (t) => {
  const whole = await world(t, { left: [0, 3] })
  for (const index of [1, 2, 4]) assert.equal(await whole.arrive(index), true)
  const right = await whole.file.end(NEVER)
  assert.ok(right.kind === 'hashed')
  assert.equal(right.sha256, createHash('sha256').update(whole.content).digest('hex'))
  assert.deepEqual(Buffer.from(right.pieces), whole.pieces)

  const damaged = await world(t, { left: [0, 1, 2, 4], rotten: [3] })
  const wrong = await damaged.file.end(NEVER)
  assert.ok(wrong.kind === 'hashed')
  const differing = [0, 1, 2, 3, 4].filter(
    (index) =>
      !Buffer.from(wrong.pieces.subarray(index * 20, index * 20 + 20)).equals(
        damaged.pieces.subarray(index * 20, index * 20 + 20),
      ),
  )
  assert.deepEqual(differing, [3])
})

test('a file that another took the place of gives no result', async (t) => {
  const { file, path, arrive } = await world(t, { left: [0, 1, 2, 3] })
  assert.equal(await arrive(4), true)
  copyFileSync(path, `${path}.copy`)
  renameSync(`${path}.copy`, path)
  assert.deepEqual(await file.end(NEVER), { kind: 'changed' })
})

test('a file that ends early, or is not there, fails what waits for it', async (t) => {
  const { file, path } = await world(t)
  writeFileSync(path, 'short')
  await assert.rejects(file.put(4, Buffer.alloc(0)), /has become shorter/)
  await assert.rejects(file.end(NEVER), /has become shorter/)
  const { threads } = await world(t)
  const missing = threads.open({
    path: `${path}.none`,
    length: 1,
    pieceLength: 1,
    pieces: Buffer.alloc(20),
    left: [],
  })
  await assert.rejects(missing.put(0, Buffer.alloc(1)), { code: 'ENOENT' })
})

test('an end that is given up, a closed file and stopped threads answer at once', async (t) => {
  const abort = new AbortController()
  const given = await world(t, { left: [0, 1, 2] })
  const end = given.file.end(abort.signal) // pieces are missing: it could only fail
  abort.abort(new Error('enough'))
  await assert.rejects(end, /enough/)

  const closed = await world(t)
  const put = closed.arrive(0)
  closed.file.close()
  closed.file.close()
  await assert.rejects(put, { code: 'stopped' })
  await assert.rejects(closed.arrive(1), { code: 'stopped' })

  const stopped = await world(t)
  const last = stopped.arrive(0)
  await Promise.all([assert.rejects(last, { code: 'stopped' }), stopped.threads.stop()])
})

test('a thread that dies fails its files, and the next file gets another', async (t) => {
  const workerUrl = new URL('data:text/javascript,process.exit(7)')
  const { file, threads, path, pieces } = await world(t, { workerUrl })
  await assert.rejects(file.put(0, Buffer.alloc(1)), {
    code: 'hash-worker',
    message: /could not be read back/,
  })
  const next = threads.open({ path, length: 1, pieceLength: 1, pieces, left: [] })
  await assert.rejects(next.put(0, Buffer.alloc(1)), { code: 'hash-worker' })
})
