/** `get --hf-layout` with Hugging Face's own library as the reader, and back: `seed --from huggingface`. */
import assert from 'node:assert/strict'
import { mkdir, readFile, readlink, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { downloadFileToCacheDir, scanCacheDir } from '@huggingface/hub'
import { afterTest } from '../helpers/after-test.ts'
import { writeSplitModel } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import { COMMIT, OTHER_COMMIT } from '../helpers/model-stores.ts'
import { startCli } from '../helpers/process.ts'
import {
  assertGot,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startBootstrap,
  startHost,
  theError,
  visibleFiles,
} from '../helpers/swarm.ts'

const BYTES = 700_000

/** A hub that knows of one file and has no byte of it to give. */
async function startHub(t: TestContext, file: { path: string; sha256: string; size: number }) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const isInfo = request.url?.includes('/paths-info/') === true
    response.writeHead(isInfo ? 200 : 500, { 'Content-Type': 'application/json' })
    const lfs = { oid: file.sha256, size: file.size, pointerSize: 1 }
    const lastCommit = { id: OTHER_COMMIT, title: '', date: '' }
    const info = { type: 'file', path: file.path, oid: '1'.repeat(40), size: file.size, lfs, lastCommit }
    response.end(JSON.stringify(isInfo ? [info] : {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  afterTest(t, () => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

test('a split model in the cache: found by Hugging Face’s library, offline and from the hub', async (t) => {
  const folder = await scratchFolder(t)
  const [shards, hub] = [join(folder, 'shards'), join(folder, 'hub')]
  await mkdir(shards)
  const originals = await writeSplitModel(shards, 'tiny', { count: 2, bytes: BYTES })
  const bootstrap = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap: bootstrap.address })
  const names = originals.map((path) => path.slice(shards.length + 1))
  const seeding = await Promise.all(names.map((name) => host.announced(name)))
  const ids = seeding.map(({ infoHash }) => infoHash)
  const options = { bootstrap: bootstrap.address, out: hub }
  const done = await assertGot(
    await runGet(t, ids, { ...options, args: ['--hf-repo', 'org/tiny-GGUF'] }),
    originals,
  )

  // All in one snapshot, as llama.cpp wants a set, and nothing hidden is left.
  const repo = join(hub, 'models--org--tiny-GGUF')
  assert.deepEqual(await visibleFiles(hub), ['models--org--tiny-GGUF'])
  const commit = await readFile(join(repo, 'refs', 'main'), 'utf8')
  assert.match(commit, /^[0-9a-f]{40}$/)
  for (const { path, sha256 } of done) {
    assert.equal(join(path, '..'), join(repo, 'snapshots', commit))
    assert.equal(await readlink(path), join('..', '..', 'blobs', sha256))
  }

  const { repos, warnings } = await scanCacheDir(hub)
  assert.deepEqual(warnings, [])
  const [info] = repos
  assert.deepEqual(
    [info?.id.name, info?.filesCount, info?.size, info?.revisions[0]?.refs, repos.length],
    ['org/tiny-GGUF', 2, 2 * BYTES, ['main'], 1],
  )
  // By commit it asks nobody; by branch it asks the hub, learns the hash, and finds the blob.
  const [name = ''] = names
  const wanted = { repo: 'org/tiny-GGUF', path: name, cacheDir: hub }
  assert.equal(
    await downloadFileToCacheDir({ ...wanted, revision: commit }),
    done.find(({ path }) => path.endsWith(name))?.path,
  )
  const sha256 = seeding[0]?.sha256 ?? ''
  const { url, asked } = await startHub(t, { path: name, sha256, size: BYTES })
  const linked = await downloadFileToCacheDir({ ...wanted, hubUrl: url })
  assert.ok(linked.includes(OTHER_COMMIT), linked)
  assert.ok((await readFile(originals[0]!)).equals(await readFile(linked)))
  assert.equal(asked.length, 1, asked.join(' '))

  // Again is no work; and from the cache it is seeded as what it is.
  const again = await runGet(t, ids, { ...options, args: ['--hf-repo', 'org/tiny-GGUF'] })
  assert.deepEqual(
    (await assertGot(again, originals)).map(({ path }) => path).sort(),
    done.map(({ path }) => path).sort(),
  )
  const state = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const at = ['--bind', '127.0.0.1', '--bootstrap', bootstrap.address, '--json']
  const env = { HF_HUB_CACHE: hub }
  const second = startCli(t, ['seed', '--from', 'huggingface', ...state, ...at], { env })
  for (const infoHash of ids) {
    const where = (event: { infoHash: string }): boolean => event.infoHash === infoHash
    await second.waitForEvent('seeding', { timeoutMs: PATIENCE_MS, where })
  }
  await second.waitForEvent('duplicate', { timeoutMs: PATIENCE_MS })
})

test('a commit that the cache knows is kept, a repository is made up where none is told, an occupied name is said', async (t) => {
  const folder = await scratchFolder(t)
  const [shards, hub] = [join(folder, 'shards'), join(folder, 'hub')]
  await mkdir(shards)
  await writeModel(join(shards, 'Tiny 1B--Q4.gguf'), { bytes: BYTES, seed: 3 })
  const bootstrap = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap: bootstrap.address })
  const { infoHash, sha256 } = await host.announced('Tiny 1B--Q4.gguf')
  const repo = join(hub, 'models--gguf-swarm--Tiny-1B-Q4')
  await mkdir(join(repo, 'refs'), { recursive: true })
  await writeFile(join(repo, 'refs', 'main'), COMMIT)
  const options = { bootstrap: bootstrap.address, out: hub, args: ['--hf-layout'] }
  const original = [join(shards, 'Tiny 1B--Q4.gguf')]
  const [done] = await assertGot(await runGet(t, [infoHash], options), original)
  assert.equal(done?.path, join(repo, 'snapshots', COMMIT, 'Tiny 1B--Q4.gguf'))
  assert.equal(await readFile(join(repo, 'refs', 'main'), 'utf8'), COMMIT)
  assert.equal((await stat(join(repo, 'blobs', sha256))).size, BYTES)

  const elsewhere = join(hub, 'models--org--x', 'snapshots', OTHER_COMMIT)
  await mkdir(elsewhere, { recursive: true })
  await writeFile(join(elsewhere, 'Tiny 1B--Q4.gguf'), 'something else')
  const args = ['--hf-repo', 'org/x', '--hf-revision', OTHER_COMMIT]
  const occupied = await runGet(t, [infoHash], { ...options, args })
  assert.equal(occupied.code, 4)
  assert.equal(theError(occupied).code, 'occupied')
  for (const wrong of [
    ['--hf-repo', '../../x'],
    ['--hf-repo', 'a/b--c'],
    ['--hf-layout', '--hf-revision', '../x'],
  ]) {
    assert.equal((await runGet(t, [infoHash], { ...options, args: wrong })).code, 2, wrong.join(' '))
  }
  assert.deepEqual(await visibleFiles(hub), ['models--gguf-swarm--Tiny-1B-Q4', 'models--org--x'])
})
