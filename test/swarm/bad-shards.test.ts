/** What a host finds in its folder and cannot seed: each is named with its reason, and the rest goes on. */
import assert from 'node:assert/strict'
import { chmod, copyFile, mkdir, readdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildGguf, writeModel } from '../helpers/gguf.ts'
import { assertGot, PATIENCE_MS, runGet, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'

/** A file that is too short may be a copy that goes on; it is given up when it was quiet for a minute. */
const GIVEN_UP_AFTER_MS = 60_000

const LFS_POINTER =
  'version https://git-lfs.github.com/spec/v1\n' +
  'oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n' +
  'size 12345678\n'

const isRoot = process.getuid?.() === 0

test('bad files are named, and the good ones are seeded', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const at = (name: string): string => join(shards, name)
  await writeModel(at('good.gguf'), { bytes: 1_000_000, seed: 1 })
  await writeFile(at('text.gguf'), 'Once upon a time there was a file that was no model.\n'.repeat(50))
  await writeFile(at('page.gguf'), '<!DOCTYPE html><html><body>404 Not Found</body></html>')
  await writeFile(at('pointer.gguf'), LFS_POINTER)
  const greedy = buildGguf({ tensorCount: 5_000_000n, metadataCount: 0 })
  assert.equal(greedy.length, 24)
  await writeFile(at('greedy.gguf'), greedy)
  await writeFile(at('empty.gguf'), '')
  await copyFile(at('good.gguf'), at('cut.gguf'))
  await truncate(at('cut.gguf'), 999_999)
  await symlink(join(folder, 'nowhere.gguf'), at('dangling.gguf'))
  await mkdir(at('folder.gguf'))
  await copyFile(at('good.gguf'), at('loading.part.gguf'))
  await copyFile(at('good.gguf'), at('locked.gguf'))
  if (!isRoot) await chmod(at('locked.gguf'), 0)

  const { address: bootstrap } = await startBootstrap(t)
  const startedAt = performance.now()
  const host = await startHost(t, shards, { bootstrap })
  const { infoHash } = await host.announced('good.gguf')
  t.diagnostic(`the good one is announced after ${Math.round(performance.now() - startedAt)} ms`)

  const rejected = async (
    file: string,
    code: string,
    words: RegExp,
    timeoutMs = PATIENCE_MS,
  ): Promise<void> => {
    const event = await host.cli.waitForEvent('rejected', {
      timeoutMs,
      where: (event) => event.file === file,
    })
    assert.match(event.reason, words, file)
    assert.equal(event.code, code, file)
    assert.doesNotMatch(event.reason, /\n|\bat Object|undefined|ENOENT/, file)
    t.diagnostic(`${file}: ${event.reason}`)
  }
  await rejected('text.gguf', 'not-gguf', /GGUF/)
  await rejected('page.gguf', 'html-page', /web page|HTML/i)
  await rejected('pointer.gguf', 'lfs-pointer', /git lfs pull/i)
  await rejected('greedy.gguf', 'over-limit', /claims 5,000,000 tensors/)
  await rejected('dangling.gguf', 'unreadable', /link to something that is not there/)
  await rejected('loading.part.gguf', 'unfinished', /rename it/)
  if (isRoot) await host.announced('locked.gguf')
  else await rejected('locked.gguf', 'unreadable', /permission denied/)

  // Cut and empty files may still be growing: that is said at once, and the verdict comes with patience.
  for (const [file, words] of [
    ['cut.gguf', /999,999 of at least 1,000,000 bytes/],
    ['empty.gguf', /empty/],
  ] as const) {
    const waiting = await host.cli.waitForEvent('waiting', {
      timeoutMs: PATIENCE_MS,
      where: (event) => event.file === file,
    })
    assert.match(waiting.reason, words)
  }
  await assertGot(await runGet(t, [infoHash], { bootstrap, out: join(folder, 'out') }), [at('good.gguf')])
  await rejected('cut.gguf', 'incomplete', /bytes/, GIVEN_UP_AFTER_MS + PATIENCE_MS)
  await rejected('empty.gguf', 'empty', /empty/, GIVEN_UP_AFTER_MS + PATIENCE_MS)

  assert.deepEqual(host.story('folder.gguf'), [], 'a folder is no file, whatever its name')
  assert.deepEqual(host.story('good.gguf'), ['hashing', 'seeding'])
  const torrents = isRoot ? ['good.gguf.torrent', 'locked.gguf.torrent'] : ['good.gguf.torrent']
  assert.deepEqual((await readdir(host.torrentsDir)).sort(), torrents)
  assert.equal((await host.cli.stop()).code, 0)
})
