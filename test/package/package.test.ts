/** What `npm pack` gives: small, whole, alone, and every command of it works once it is installed. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { helpOfAll, type Installed, installGlobally, pack, ROOT, THIS_NODE, useAll } from './package-kit.ts'

/** 3.1 MB today; what makes it larger is to be noticed. */
const MAX_BYTES = 4_000_000

let folder: string
let installed: Installed

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gguf-swarm-package-'))
  installed = await installGlobally(THIS_NODE, await pack(folder), join(folder, 'prefix'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function filesOf(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

test('one package is installed, without a network, and it is small', async (t) => {
  assert.deepEqual(await readdir(join(folder, 'prefix/lib/node_modules')), ['gguf-swarm'])
  const { root } = installed
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies', 'bundleDependencies']) {
    assert.equal(manifest[kind], undefined, kind)
  }
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
    assert.equal(manifest.scripts[script], undefined, script)
  }
  const files = await filesOf(root)
  assert.ok(
    !files.some((path) => /node_modules.*node_modules|\.node$|\.ts$/.test(path.replace(/\.d\.ts$/, ''))),
  )
  const sizes = await Promise.all(files.map(async (path) => (await stat(path)).size))
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  t.diagnostic(`${files.length} files, ${bytes} bytes; packed ${(await stat(await tarball())).size} bytes`)
  assert.ok(bytes < MAX_BYTES, `${bytes} bytes`)
})

async function tarball(): Promise<string> {
  const [name = ''] = (await readdir(folder)).filter((entry) => entry.endsWith('.tgz'))
  return join(folder, name)
}

test('it names no path of the machine that made it', async () => {
  for (const path of await filesOf(installed.root)) {
    assert.ok(!(await readFile(path)).includes(ROOT), path)
  }
})

test('it carries the licence of everything that is in it', async () => {
  const notices = await readFile(join(installed.root, 'THIRD-PARTY-NOTICES.txt'), 'utf8')
  const titles = [...notices.matchAll(/^-{80}\n(\S+) \d+\.\d+\.\d+\S* \(/gm)].map(([, name]) => name)
  assert.ok(titles.length > 50, titles.join(' '))
  const own = ['bencode', 'chokidar', 'smol-toml', 'webtorrent', 'ws', 'yargs', 'preact', 'uplot']
  const theirs = ['bittorrent-protocol', 'k-rpc', 'streamx', 'ut_metadata', 'rolldown']
  for (const name of [...own, ...theirs]) assert.ok(titles.includes(name), name)
  for (const name of ['bittorrent-tracker', 'node-fetch'])
    assert.ok(!titles.includes(name), `${name} is left out`)
})

test('publint finds nothing', async () => {
  const { messages, pkg } = await publint({ pkgDir: installed.root, strict: true, pack: false })
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  )
})

test('every command tells what it takes', async (t) => helpOfAll(t, installed))

test('every command works: a fleet is started, verified, looked at and fetched from', async (t) =>
  useAll(t, installed))

test('an old Node can read the launcher, and is told what to do', async () => {
  const text = (await readFile(join(installed.root, 'bin/gguf-swarm.js'), 'utf8')).replace(/^\/\/.*$/gm, '')
  // The matrix runs it on Node 12; this is what that Node, and one that takes it for a script, would stumble over.
  assert.doesNotMatch(text, /=>|`|\?\.|\?\?|\bconst\b|\blet\b|\bclass\b|^\s*import\s|\bexport\b|\bawait\b/m)
  assert.match(text, /needs Node 20\.19 or newer/)
})
