/** Libraries on the folders of other programs: Hugging Face's cache, Ollama's store, several at once. */
import assert from 'node:assert/strict'
import { link, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisedSha256 } from '../../src/library/blob-name.ts'
import { listOllama, ollamaFileName } from '../../src/library/ollama.ts'
import { distinctRoots } from '../../src/library/walk.ts'
import { writeModel } from '../helpers/gguf.ts'
import { COMMIT, inHuggingFace, inOllama, OTHER_COMMIT, tagInOllama } from '../helpers/model-stores.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'
import { makeWorld } from './library-kit.ts'

const BYTES = 200_000
const LIBRARY = 'registry.ollama.ai/library'

test('what models of Ollama are called as files', () => {
  const named = (path: string, index?: number): string => ollamaFileName(path.split('/'), index)
  assert.equal(named(`${LIBRARY}/llama3.2/3b`), 'llama3.2-3b.gguf')
  assert.equal(named(`${LIBRARY}/llama3.2/3b`, 1), 'llama3.2-3b-2.gguf')
  assert.equal(named('registry.ollama.ai/me/mine/latest'), 'me-mine-latest.gguf')
  assert.equal(named('registry.example/library/x/1'), 'library-x-1.gguf')
  // As most publishers call the file on Hugging Face.
  assert.equal(named('hf.co/bartowski/Llama-3.2-3B-GGUF/Q4_K_M'), 'Llama-3.2-3B-Q4_K_M.gguf')
  assert.equal(named('hf.co/bartowski/X-GGUF/X-IQ3_M.gguf'), 'X-IQ3_M.gguf')
  // Safe on every disk.
  assert.equal(named(`${LIBRARY}/a b:c\\d/..`), 'a-b-c-d-...gguf')
  assert.equal(named(`${LIBRARY}/../..`), 'model.gguf')
  assert.ok(Buffer.byteLength(named(`${LIBRARY}/${'ü'.repeat(300)}/x`)) <= 255)
})

test('manifests: the model layer alone, one name a blob, and what is no manifest is named', async (t) => {
  const store = await temporaryFolder(t)
  const { blob, sha256 } = await inOllama(store, {
    bytes: BYTES,
    seed: 1,
    tags: [`${LIBRARY}/tiny/latest`, `${LIBRARY}/tiny/1b-instruct`, `${LIBRARY}/tiny/1b`],
  })
  await mkdir(join(store, 'manifests', LIBRARY, 'broken'))
  await writeFile(join(store, 'manifests', LIBRARY, 'broken', 'half'), '{"layers":')
  await writeFile(join(store, 'manifests', LIBRARY, 'broken', 'other'), '{"layers":[null,{"digest":7}]}')
  const path = { mediaType: 'application/vnd.ollama.image.model', digest: `sha256:../../${'0'.repeat(58)}` }
  await writeFile(join(store, 'manifests', LIBRARY, 'broken', 'path'), JSON.stringify({ layers: [path] }))
  const warnings: string[] = []
  assert.deepEqual(await listOllama(store, (line) => warnings.push(line)), [
    { path: blob, name: 'tiny-1b.gguf' },
  ])
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /broken\/half is no manifest/)
  assert.equal(await promisedSha256(blob), sha256)
})

test('which paths promise a hash', async (t) => {
  const folder = await temporaryFolder(t)
  const model = { bytes: BYTES, seed: 2, repo: 'org/name', name: 'x.gguf' }
  const { links, sha256, blob } = await inHuggingFace(folder, model)
  assert.equal(await promisedSha256(links[0]!), sha256)
  assert.equal(await promisedSha256(blob), sha256)
  assert.equal(await promisedSha256(`${blob}.incomplete`), null)
  assert.equal(await promisedSha256(`${folder}/blobs/${'0'.repeat(40)}`), null, 'a Git hash')
  assert.equal(await promisedSha256(`${folder}/elsewhere/${sha256}`), null)
  assert.equal(await promisedSha256(`${folder}/blobs/sha256-${sha256}-partial`), null)
})

test('the cache of Hugging Face: two revisions are one torrent, hashed once and passed on', async (t) => {
  const { root: hub, start } = await makeWorld(t)
  const model = { bytes: BYTES, seed: 3, repo: 'org/name', name: 'x.gguf' }
  const { blob, links } = await inHuggingFace(hub, { ...model, commits: [COMMIT, OTHER_COMMIT] })
  await writeModel(`${blob}.incomplete`, { bytes: BYTES, seed: 4 })
  const [first, second] = [COMMIT, OTHER_COMMIT].map((commit) =>
    join('models--org--name', 'snapshots', commit, 'x.gguf'),
  ) as [string, string]
  const kit = await start()
  const infoHash = await kit.heard('shard', first)
  assert.equal(await kit.heard('alias', second), first)
  assert.equal(kit.hashes(), 1)
  assert.equal(kit.shards[0]?.name, 'x.gguf')
  assert.deepEqual(kit.scanned, [{ files: 1, seeding: 1, rejected: 0, waiting: 0 }])
  // The older revision is cleaned up: the newer takes over, unread.
  await rm(links[0]!)
  await kit.heard('gone', first)
  assert.equal(await kit.heard('shard', second), infoHash)
  assert.equal(kit.hashes(), 1)
  assert.ok(
    kit.told.findIndex(([what]) => what === 'gone') > kit.told.findLastIndex(([what]) => what === 'shard'),
    'it is never without a torrent',
  )
  await kit.library.stop()
  const again = await start()
  assert.equal(await again.heard('shard', second), infoHash)
  assert.equal(again.hashes(), 0)
})

test('a blob that is not what its name says is rejected by name, and seeded when it is mended', async (t) => {
  const { root: hub, start } = await makeWorld(t)
  const model = { bytes: BYTES, seed: 5, repo: 'org/name', name: 'x.gguf' }
  const wrong = 'f'.repeat(64)
  const { blob, sha256 } = await inHuggingFace(hub, {
    ...model,
    sha256: wrong,
    commits: [COMMIT, OTHER_COMMIT],
  })
  const [first, second] = [COMMIT, OTHER_COMMIT].map((commit) =>
    join('models--org--name', 'snapshots', commit, 'x.gguf'),
  ) as [string, string]
  const kit = await start()
  const reason = await kit.heard('rejected', first)
  assert.match(reason, new RegExp(`^sha256-mismatch: its SHA-256 is ${sha256}.*${wrong}.*download it again`))
  assert.match(await kit.heard('rejected', second), /^sha256-mismatch/)
  assert.equal(kit.hashes(), 1, 'one file, one verdict')
  assert.deepEqual(kit.shards, [])
  await rename(blob, join(blob, '..', sha256))
  await rm(join(hub, first))
  await symlink(join('..', '..', 'blobs', sha256), join(hub, first))
  await kit.heard('shard', first)
})

test('Ollama: named by its manifests, as they come, change and go', async (t) => {
  const { root: store, start } = await makeWorld(t)
  const kit = await start()
  const { sha256 } = await inOllama(store, { bytes: BYTES, seed: 6, tags: [`${LIBRARY}/tiny/latest`] })
  const file = join('blobs', `sha256-${sha256}`)
  await kit.heard('shard', file)
  assert.equal(kit.shards.at(-1)?.name, 'tiny-latest.gguf')
  await tagInOllama(store, `${LIBRARY}/tiny/1b`, sha256)
  await kit.heard('shard', file, 2)
  assert.equal(kit.shards.at(-1)?.name, 'tiny-1b.gguf')
  assert.match(await kit.heard('gone', file), /it is called tiny-1b.gguf now/)
  await kit.library.stop()
  const again = await start()
  await again.heard('shard', file)
  assert.equal(again.shards[0]?.name, 'tiny-1b.gguf')
  assert.equal(kit.hashes() + again.hashes(), 1)
  await rm(join(store, 'manifests'), { recursive: true })
  await again.heard('gone', file)
  assert.deepEqual([...kit.warnings, ...again.warnings], [])
})

test('the same bytes from Hugging Face and from Ollama are one torrent, under the publisher’s name', async (t) => {
  const { root, start } = await makeWorld(t)
  const [hub, store] = [join(root, 'hub'), join(root, 'ollama')]
  await mkdir(hub)
  const { blob } = await inOllama(store, { bytes: BYTES, seed: 7, tags: [`${LIBRARY}/tiny/1b`] })
  const kit = await start({ roots: [store, hub] })
  await kit.heard('shard', blob)
  assert.equal(kit.shards[0]?.name, 'tiny-1b.gguf')
  const model = { bytes: BYTES, seed: 7, repo: 'org/name', name: 'Tiny-1B.gguf' }
  const { links } = await inHuggingFace(hub, model)
  await kit.heard('shard', links[0]!)
  assert.equal(kit.shards.at(-1)?.name, 'Tiny-1B.gguf')
  await kit.heard('gone', blob)
  assert.equal(await kit.heard('alias', blob), links[0])
  await rm(links[0]!)
  await kit.heard('shard', blob, 2)
})

test('links and hard links to one file: named by the file itself, one torrent, hashed once', async (t) => {
  const { root, start } = await makeWorld(t)
  await writeModel(join(root, 'z.gguf'), { bytes: BYTES, seed: 8 })
  await symlink('z.gguf', join(root, 'current.gguf'))
  await mkdir(join(root, 'sub'))
  await link(join(root, 'z.gguf'), join(root, 'sub', 'z.gguf'))
  const kit = await start()
  await kit.heard('alias', 'current.gguf')
  const seeded = kit.shards.map(({ relativePath }) => relativePath)
  assert.equal(seeded.length, 1)
  assert.equal(kit.shards[0]?.name, 'z.gguf')
  assert.equal(kit.hashes(), 1)
  await kit.library.stop()
  const again = await start()
  await again.heard('alias', 'current.gguf')
  assert.deepEqual(
    again.shards.map(({ relativePath }) => relativePath),
    seeded,
  )
  assert.equal(again.hashes(), 0)
})

test('shards of split sets keep all their names, and share the hash', async (t) => {
  const { root, start } = await makeWorld(t)
  await writeModel(join(root, 'a-00001-of-00001.gguf'), { bytes: BYTES, seed: 9 })
  await symlink('a-00001-of-00001.gguf', join(root, 'b-00001-of-00001.gguf'))
  const kit = await start()
  const first = await kit.heard('shard', 'a-00001-of-00001.gguf')
  assert.notEqual(await kit.heard('shard', 'b-00001-of-00001.gguf'), first)
  assert.equal(kit.hashes(), 1)
})

test('bytes that went bad are not passed on under another path of the file', async (t) => {
  const { root, start } = await makeWorld(t)
  await writeModel(join(root, 'a.gguf'), { bytes: BYTES, seed: 10 })
  await symlink('a.gguf', join(root, 'b.gguf'))
  const kit = await start()
  await kit.heard('alias', 'b.gguf')
  // Another content under the same identity cannot be made from here; the verdict can: too short to be whole.
  await writeFile(join(root, 'a.gguf'), 'GGUF')
  await kit.heard('gone', 'a.gguf')
  await kit.heard('rejected', 'a.gguf')
  await kit.heard('rejected', 'b.gguf')
  assert.equal(kit.shards.length, 1)
})

test('several folders are one library; one inside another, or given twice, is looked at once', async (t) => {
  const { root, start } = await makeWorld(t)
  const [one, two, hidden] = [join(root, 'one'), join(root, 'two'), join(root, '.three')]
  for (const folder of [one, two, hidden]) await mkdir(folder)
  assert.deepEqual(await distinctRoots([root, one, root, hidden]), [root, hidden])
  assert.deepEqual(await distinctRoots([one, root]), [root])
  await writeModel(join(one, 'a.gguf'), { bytes: BYTES, seed: 11 })
  await symlink(one, join(two, 'other'))
  const kit = await start({ roots: [one, two, hidden], rescanMs: 300 })
  await kit.heard('shard', join(one, 'a.gguf'))
  await writeModel(join(two, 'b.gguf'), { bytes: BYTES, seed: 12 })
  await writeModel(join(hidden, 'c.gguf'), { bytes: BYTES, seed: 13 })
  await kit.heard('shard', join(two, 'b.gguf'))
  await kit.heard('shard', join(hidden, 'c.gguf'))
  assert.equal(kit.shards.length, 3, JSON.stringify(kit.told))
  // One folder goes: the others go on, and what was in it is known when it is back.
  await rename(one, join(root, 'away'))
  await kit.heard('gone', join(one, 'a.gguf'))
  await writeModel(join(two, 'd.gguf'), { bytes: BYTES, seed: 14 })
  await kit.heard('shard', join(two, 'd.gguf'))
  const isMissed = (): boolean => kit.warnings.some((text) => /one is not there.*looked for again/.test(text))
  await until(isMissed, { timeoutMs: 30_000, what: 'a word about the folder' })
  await rename(join(root, 'away'), one)
  await kit.heard('shard', join(one, 'a.gguf'), 2)
  assert.equal(kit.hashes(), 4)
})
