/** Files hashed on threads of their own: the right hashes or none, whatever happens to file, job or thread. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  copyFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hashFile } from '../../src/library/hash-file.ts'
import { HashPool } from '../../src/library/hash-pool.ts'
import { identityOf, sameIdentity } from '../../src/library/identity.ts'
import { createInfo } from '../../src/metainfo/create.ts'
import { writeModel } from '../helpers/gguf.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const MiB = 1024 * 1024
const PIECE = 256 * 1024

async function poolFor(t: TestContext, threads?: number): Promise<{ pool: HashPool; folder: string }> {
  const pool = new HashPool(threads === undefined ? {} : { threads })
  t.after(() => pool.stop())
  return { pool, folder: await temporaryFolder(t) }
}

test('pieces, infohash and SHA-256 in one pass, for any piece length', async (t) => {
  const { pool, folder } = await poolFor(t)
  const path = join(folder, 'a.gguf')
  await writeModel(path, { bytes: 5 * MiB + 12_345, seed: 1 })
  const bytes = await readFile(path)
  for (const pieceLength of [16 * 1024, PIECE, 4 * MiB, 64 * MiB]) {
    const hashed = await pool.hash({ path, name: 'other name.gguf', pieceLength })
    assert.ok(hashed.kind === 'hashed')
    const expected = await createInfo(
      (async function* () {
        yield bytes
      })(),
      { name: 'other name.gguf', pieceLength },
    )
    const { kind: _, identity, sha256, ...info } = hashed
    assert.deepEqual(info, expected)
    assert.equal(sha256, createHash('sha256').update(bytes).digest('hex'))
    assert.ok(sameIdentity(identity, await identityOf(path)))
  }
})

test('a file that is written to, replaced, cut, touched or removed while it is read gives no result', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'a.gguf')
  const changes: Readonly<Record<string, () => void>> = {
    append: () => appendFileSync(path, 'x'),
    overwrite: () => writeFileSync(path, 'x', { flag: 'r+' }),
    cut: () => truncateSync(path, 3 * MiB),
    cutToNothing: () => truncateSync(path, 0),
    touch: () => utimesSync(path, new Date(), new Date()),
    replace: () => {
      copyFileSync(path, `${path}.new`)
      renameSync(`${path}.new`, path)
    },
    remove: () => rmSync(path),
  }
  for (const [what, change] of Object.entries(changes)) {
    await writeModel(path, { bytes: 8 * MiB, seed: 2 })
    let calls = 0
    const onProgress = (): void => {
      if (calls++ === 0) change()
    }
    const result = hashFile({ path, name: 'a.gguf', pieceLength: PIECE }, { onProgress })
    assert.equal(result.kind, 'changed', what)
  }
})

test('several files at once, more than there are threads; one that cannot be read fails alone', async (t) => {
  const { pool, folder } = await poolFor(t)
  const paths = Array.from({ length: 5 }, (_, index) => join(folder, `${index}.gguf`))
  await Promise.all(paths.map((path, seed) => writeModel(path, { bytes: MiB, seed })))
  const missing = pool.hash({ path: join(folder, 'missing.gguf'), name: 'm.gguf', pieceLength: PIECE })
  const hashing = paths.map((path) => pool.hash({ path, name: 'same.gguf', pieceLength: PIECE }))
  await assert.rejects(missing, { code: 'ENOENT' })
  const hashes = new Set(
    (await Promise.all(hashing)).map((result) => (result.kind === 'hashed' ? result.infoHash : '')),
  )
  assert.equal(hashes.size, 5)
})

test('folders, FIFOs and empty files are refused, without blocking', async (t) => {
  const { pool, folder } = await poolFor(t, 1)
  const [inner, empty, fifo] = [
    join(folder, 'dir.gguf'),
    join(folder, 'empty.gguf'),
    join(folder, 'fifo.gguf'),
  ]
  await mkdir(inner)
  await writeFile(empty, '')
  await assert.rejects(pool.hash({ path: inner, name: 'x', pieceLength: PIECE }), { code: 'not-a-file' })
  await assert.rejects(pool.hash({ path: empty, name: 'x', pieceLength: PIECE }), { code: 'empty' })
  if (spawnSync('mkfifo', [fifo]).status === 0) {
    await assert.rejects(pool.hash({ path: fifo, name: 'x', pieceLength: PIECE }), { code: 'not-a-file' })
  }
})

test('cancelled jobs reject with the reason, waiting or running, and the pool goes on', async (t) => {
  const { pool, folder } = await poolFor(t, 1)
  const path = join(folder, 'a.gguf')
  await writeModel(path, { bytes: 32 * MiB, seed: 3 })
  const [running, waiting] = [new AbortController(), new AbortController()]
  const job = { path, name: 'a.gguf', pieceLength: PIECE }
  const first = pool.hash(job, { signal: running.signal })
  const second = pool.hash(job, { signal: waiting.signal })
  waiting.abort(new Error('no longer'))
  await assert.rejects(second, /no longer/)
  running.abort(new Error('enough'))
  await assert.rejects(first, /enough/)
  await assert.rejects(pool.hash(job, { signal: AbortSignal.abort(new Error('never')) }), /never/)
  assert.equal((await pool.hash(job)).kind, 'hashed')
})

test('stop ends what runs and refuses what comes; it can be called again', async (t) => {
  const { pool, folder } = await poolFor(t, 1)
  const path = join(folder, 'a.gguf')
  await writeModel(path, { bytes: 32 * MiB, seed: 4 })
  const job = { path, name: 'a.gguf', pieceLength: PIECE }
  const jobs = [pool.hash(job), pool.hash(job)]
  const ended = jobs.map((hashing) => assert.rejects(hashing, { code: 'stopped' }))
  await Promise.all([pool.stop(), pool.stop()])
  await Promise.all(ended)
  await assert.rejects(pool.hash(job), { code: 'stopped' })
})

test('a thread that dies fails its job by name and is replaced', async (t) => {
  const folder = await temporaryFolder(t)
  await using pool = new HashPool({ threads: 1, workerUrl: new URL('./mortal-worker.ts', import.meta.url) })
  const [deadly, harmless] = [join(folder, 'deadly.gguf'), join(folder, 'harmless.gguf')]
  await writeModel(deadly, { bytes: MiB, seed: 5 })
  await writeModel(harmless, { bytes: MiB, seed: 6 })
  const first = pool.hash({ path: deadly, name: 'a.gguf', pieceLength: PIECE })
  const second = pool.hash({ path: harmless, name: 'a.gguf', pieceLength: PIECE })
  await assert.rejects(first, { code: 'hash-worker', message: /deadly\.gguf/ })
  assert.equal((await second).kind, 'hashed')
})
