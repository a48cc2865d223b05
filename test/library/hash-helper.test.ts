/** A file that is so large that a second thread helps: hundreds of megabytes are hashed here. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { existsSync, utimesSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { HashPool, type HashResult } from '../../src/library/hash-pool.ts'
import { writeModel } from '../helpers/gguf.ts'
import { piecesOf } from '../helpers/pieces.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const MiB = 1024 * 1024
const PIECE = 256 * 1024

test('a file that two threads hash together, then one, then two again, is hashed right', async (t) => {
  const folder = await temporaryFolder(t)
  await using pool = new HashPool({ threads: 2 })
  const [large, small] = [join(folder, 'large.gguf'), join(folder, 'small.gguf')]
  await writeModel(large, { bytes: 200 * MiB + 12_345, seed: 7 })
  await writeModel(small, { bytes: MiB, seed: 8 })
  const bytes = await readFile(large)
  for (const pieceLength of [16 * 1024, 16 * MiB]) {
    let small1: Promise<HashResult> | undefined
    const hashed = await pool.hash(
      { path: large, name: 'large.gguf', pieceLength },
      {
        // In the middle of it the helper is called away.
        onStart: () => {
          setTimeout(() => {
            small1 = pool.hash({ path: small, name: 'small.gguf', pieceLength })
          }, 20)
        },
      },
    )
    assert.ok(hashed.kind === 'hashed')
    assert.deepEqual(Buffer.from(hashed.pieces), piecesOf(bytes, pieceLength))
    assert.equal(hashed.sha256, hash('sha256', bytes))
    assert.equal((await small1)?.kind, 'hashed')
  }
})

test('a helper that dies with a piece in hand costs nothing but time', async (t) => {
  const folder = await temporaryFolder(t)
  await using pool = new HashPool({ threads: 2, workerUrl: new URL('./mortal-worker.ts', import.meta.url) })
  const path = join(folder, 'deadly-to-help.gguf')
  await writeModel(path, { bytes: 300 * MiB, seed: 9 })
  const hashed = await pool.hash({ path, name: 'a.gguf', pieceLength: PIECE })
  assert.ok(existsSync(`${path}.died`), 'there was a helper, and it died')
  assert.ok(hashed.kind === 'hashed')
  assert.deepEqual(Buffer.from(hashed.pieces), piecesOf(await readFile(path), PIECE))
})

test('a helped file that is cancelled or changed ends both threads, and the pool goes on', async (t) => {
  const folder = await temporaryFolder(t)
  await using pool = new HashPool({ threads: 2 })
  const path = join(folder, 'a.gguf')
  await writeModel(path, { bytes: 300 * MiB, seed: 10 })
  const job = { path, name: 'a.gguf', pieceLength: PIECE }
  const enough = new AbortController()
  const cancelled = pool.hash(job, {
    signal: enough.signal,
    onStart: () => setTimeout(() => enough.abort(new Error('enough')), 60),
  })
  await assert.rejects(cancelled, /enough/)
  const changed = pool.hash(job)
  const touching = setInterval(() => utimesSync(path, new Date(), new Date()), 5)
  assert.equal((await changed.finally(() => clearInterval(touching))).kind, 'changed')
  const again = await pool.hash(job)
  assert.ok(again.kind === 'hashed')
  assert.deepEqual(Buffer.from(again.pieces), piecesOf(await readFile(path), PIECE))
})
