/** Files stay in the folders that were chosen, whatever a torrent is called and whatever links somebody laid. */
import assert from 'node:assert/strict'
import { lchown, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import bencode from 'bencode'
import { infoHashOfInfo } from '../../src/metainfo/info-hash.ts'
import { writeModel } from '../helpers/gguf.ts'
import { ROOT_USER, skipUnless } from '../helpers/requirements.ts'
import { PATIENCE_MS, runGet, scratchFolder, startBootstrap, startHost, theError } from '../helpers/swarm.ts'

const NOBODY = 65_534
const DEAD_BOOTSTRAP = '127.0.0.1:9'
const [SAFE, SECRET] = ['precious', 'secret']

test('a torrent with a path for a name is refused before anything is written', async (t) => {
  const folder = await scratchFolder(t)
  const out = join(folder, 'out')
  for (const name of ['../up.gguf', join(folder, 'absolute.gguf'), 'con.gguf', 'gguf\u202egpj.gguf']) {
    const info = { length: 1, name, 'piece length': 65_536, pieces: new Uint8Array(20) }
    const file = join(folder, 'evil.torrent')
    await writeFile(file, bencode.encode({ info }))
    const got = await runGet(t, [file], { bootstrap: DEAD_BOOTSTRAP, out })
    assert.equal(got.code, 2, name)
    assert.doesNotMatch(got.stderr, /\u202e/)
    assert.deepEqual(await readdir(folder), ['evil.torrent'], name)
  }
})

test('links in the folder of a download lead nowhere', async (t) => {
  const folder = await scratchFolder(t)
  const [out, elsewhere] = [join(folder, 'out'), join(folder, 'elsewhere')]
  await mkdir(join(out, '.gguf-swarm'), { recursive: true })
  await mkdir(elsewhere)
  const info = { length: SAFE.length, name: 'x.gguf', 'piece length': 65_536, pieces: new Uint8Array(20) }
  const torrent = join(folder, 'x.torrent')
  await writeFile(torrent, bencode.encode({ info }))
  const hidden = join(out, '.gguf-swarm', infoHashOfInfo(bencode.encode(info)))
  const get = () => runGet(t, [torrent], { bootstrap: DEAD_BOOTSTRAP, out, args: ['--timeout', '1'] })

  await symlink(elsewhere, hidden)
  const refused = await get()
  assert.equal(refused.code, 1)
  assert.equal(theError(refused).code, 'link')
  assert.deepEqual(await readdir(elsewhere), [])

  const victim = join(elsewhere, 'victim')
  await writeFile(victim, SAFE)
  await rm(hidden)
  await mkdir(hidden)
  await symlink(victim, join(hidden, 'data'))
  const stopped = await get()
  assert.notEqual(stopped.code, 0)
  assert.equal(await readFile(victim, 'utf8'), SAFE)

  // A link under the final name is a name that is taken.
  await rm(hidden, { recursive: true })
  await symlink(victim, join(out, 'x.gguf'))
  const occupied = await get()
  assert.equal(theError(occupied).code, 'occupied')
  assert.equal(await readFile(victim, 'utf8'), SAFE)
})

test('a link that another user laid to a file of somebody else is not seeded', {
  skip: skipUnless(ROOT_USER), // to lay links as another user
}, async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  const others = join(folder, 'private')
  await mkdir(shards)
  await mkdir(others)
  for (const [seed, name] of ['own', SECRET, 'theirs'].entries()) {
    await writeModel(join(others, `${name}.gguf`), { bytes: 300_000, seed })
    await symlink(join(others, `${name}.gguf`), join(shards, `${name}.gguf`))
  }
  await symlink(others, join(shards, 'folder'))
  await lchown(join(shards, `${SECRET}.gguf`), NOBODY, NOBODY)
  await lchown(join(shards, 'theirs.gguf'), NOBODY, NOBODY)
  await lchown(join(others, 'theirs.gguf'), NOBODY, NOBODY)
  await lchown(join(shards, 'folder'), NOBODY, NOBODY)
  const bootstrap = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap: bootstrap.address })
  const { file, code } = await host.cli.waitForEvent('rejected', { timeoutMs: PATIENCE_MS })
  assert.deepEqual([file, code], [`${SECRET}.gguf`, 'foreign-link'])
  await host.seeding('own.gguf')
  await host.seeding('theirs.gguf')
  const seeded = host.cli.events().flatMap((event) => (event.event === 'seeding' ? [event.file] : []))
  assert.deepEqual(seeded.sort(), ['own.gguf', 'theirs.gguf'])
})
