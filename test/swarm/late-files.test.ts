/** Files that come while a host runs, by whatever way they are reached; and names that it passes over. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { assertGot, runGet, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'

test('late files, sub-folders and links', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  const elsewhere = join(folder, 'elsewhere')
  await mkdir(join(shards, 'there', 'before'), { recursive: true })
  await mkdir(elsewhere)
  const model = (name: string, seed: number) => writeModel(join(elsewhere, name), { bytes: 1_000_000, seed })
  await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name, seed) => model(`${name}.gguf`, seed)))
  await rename(join(elsewhere, 'a.gguf'), join(shards, 'there', 'before', 'a.gguf'))

  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap })
  await host.announced(join('there', 'before', 'a.gguf'))

  await copyFile(join(elsewhere, 'b.gguf'), join(shards, 'b.gguf'))
  await symlink(join(elsewhere, 'c.gguf'), join(shards, 'c.gguf'))
  await mkdir(join(shards, 'new', 'folder'), { recursive: true })
  await copyFile(join(elsewhere, 'd.gguf'), join(shards, 'new', 'folder', 'D.GGUF'))
  await copyFile(join(elsewhere, 'e.gguf'), join(shards, '.e.gguf'))
  await copyFile(join(elsewhere, 'f.gguf'), join(shards, 'f.gguf.part'))

  const late = ['b.gguf', 'c.gguf', join('new', 'folder', 'D.GGUF')]
  const seeded = await Promise.all(late.map((name) => host.announced(name)))
  const originals = ['b', 'c', 'd'].map((name) => join(elsewhere, `${name}.gguf`))
  const ids = seeded.map(({ magnet }) => magnet)
  await assertGot(await runGet(t, ids, { bootstrap, out: join(folder, 'out') }), originals)
  const told = new Set(host.cli.events().flatMap((event) => ('file' in event ? [event.file] : [])))
  assert.deepEqual([...told].sort(), [...late, join('there', 'before', 'a.gguf')].sort())

  // A download that finishes: the other program gives the file its name.
  await rename(join(shards, 'f.gguf.part'), join(shards, 'f.gguf'))
  await host.announced('f.gguf')
})
