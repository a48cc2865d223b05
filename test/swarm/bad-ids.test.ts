/** What `get` refuses: one message that names the value and says what to do, the right exit code, nothing left behind. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startForeignPeer } from '../helpers/foreign-peer.ts'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertGot,
  ended,
  type GetOptions,
  holdTcpPort,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startBootstrap,
  startGet,
  startHost,
  theError,
} from '../helpers/swarm.ts'

interface Refusal extends Partial<GetOptions> {
  readonly ids: readonly string[]
  readonly code: number
  readonly error: string
  readonly names: readonly (string | number)[]
}

/** A .torrent file as anybody might have made it; `extra` goes into its info dictionary, before `length`. */
function torrent(name: string, { files = false } = {}): Buffer {
  const text = (value: string): string => `${Buffer.byteLength(value)}:${value}`
  const what = files ? `5:filesld6:lengthi100e4:pathl${text('a.gguf')}eee` : '6:lengthi100e'
  return Buffer.from(
    `d4:infod${what}4:name${text(name)}12:piece lengthi262144e6:pieces20:${'x'.repeat(20)}ee`,
    'utf8',
  )
}

async function refuses(t: TestContext, at: GetOptions, { ids, code, error, names, ...own }: Refusal) {
  const options = { ...at, ...own }
  const got = await runGet(t, ids, options)
  assert.equal(got.code, code, got.stderr)
  const { message, ...told } = theError(got)
  assert.equal(told.code, error, message)
  for (const name of names) assert.ok(message.includes(String(name)), `${message}\nlacks ${name}`)
  assert.deepEqual(await readdir(options.out).catch(() => []), [], 'nothing is left behind')
  t.diagnostic(message)
}

test('get refuses what it cannot fetch', { concurrency: 2 }, async (t) => {
  const folder = await scratchFolder(t)
  const { address: bootstrap } = await startBootstrap(t)
  const file = async (name: string, bytes: Buffer): Promise<string> => {
    await writeFile(join(folder, name), bytes)
    return join(folder, name)
  }
  const climbing = await file('climbing.torrent', torrent('../../evil.gguf'))
  const absolute = await file('absolute.torrent', torrent('/etc/evil.gguf'))
  const many = await file('many.torrent', torrent('models', { files: true }))
  const broken = await file('broken.torrent', torrent('a.gguf').subarray(0, 60))
  const nobody = '0123456789abcdef0123456789abcdef01234567'
  const tcp = await holdTcpPort(t)
  const bad = (ids: string, error: string, ...names: string[]): Refusal => ({
    ids: [ids],
    code: 2,
    error,
    names: [ids, ...names],
  })
  const rows: Record<string, Refusal> = {
    'bad hash': bad('0123456789abcdef', 'bad-id', '40 hex'),
    'magnet without a v1 hash': bad(`magnet:?xt=urn:btmh:1220${'ab'.repeat(32)}`, 'v2-only', 'v1 hash'),
    'torrent that climbs out': bad(climbing, 'bad-torrent', '../../evil.gguf', 'path'),
    'torrent with an absolute path': bad(absolute, 'bad-torrent', '/etc/evil.gguf', 'path'),
    'torrent of a folder': bad(many, 'many-files', 'one file'),
    'broken torrent': bad(broken, 'bad-torrent', 'again'),
    'missing torrent': bad(join(folder, 'none.torrent'), 'bad-id', 'no such file'),
    'nobody has it': {
      ids: [nobody],
      args: ['--timeout', '4'],
      code: 3,
      error: 'not-found',
      names: [nobody, 'nobody announces it', 'check the infohash'],
    },
    'no bootstrap answers': {
      ids: [nobody],
      bootstrap: '127.0.0.1:9',
      args: ['--timeout', '4'],
      code: 3,
      error: 'not-found',
      names: [nobody, '127.0.0.1:9', '--bootstrap HOST:PORT'],
    },
    'port in use': {
      ids: [nobody],
      args: ['--port', String(tcp)],
      code: 1,
      error: 'port-in-use',
      names: [tcp, '--port'],
    },
    'bad peer': {
      ...bad(nobody, 'bad-address'),
      args: ['--peer', '10.0.0.1'],
      names: ["'10.0.0.1'", 'HOST:PORT'],
    },
    'out below a file': {
      ids: [nobody],
      out: join(climbing, 'sub'),
      code: 5,
      error: 'ENOTDIR',
      names: [join(climbing, 'sub'), 'choose another folder'],
    },
    'out is a file': {
      ids: [nobody],
      out: climbing,
      code: 5,
      error: 'ENOTDIR',
      names: [climbing, 'choose another folder'],
    },
  }
  await Promise.all(
    Object.entries(rows).map(([name, refusal], index) =>
      t.test(name, (t) => refuses(t, { bootstrap, out: join(folder, `out-${index}`) }, refusal)),
    ),
  )
})

test('an occupied name is left alone, and the other downloads go on', async (t) => {
  const folder = await scratchFolder(t)
  const out = join(folder, 'out')
  await mkdir(join(folder, 'shards'))
  await mkdir(out)
  const originals = ['a', 'b'].map((name) => join(folder, 'shards', `${name}.gguf`))
  for (const [seed, path] of originals.entries()) await writeModel(path, { bytes: 1_000_000, seed })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, join(folder, 'shards'), { bootstrap })
  const [a, b] = await Promise.all([host.announced('a.gguf'), host.announced('b.gguf')])
  // As long as the shard, so that only its content tells.
  const theirs = Buffer.alloc(1_000_000, 'mine')
  await writeFile(join(out, 'a.gguf'), theirs)

  const got = await runGet(t, [a.infoHash, b.infoHash], { bootstrap, out })
  assert.equal(got.code, 4)
  const { code, message } = theError(got)
  assert.equal(code, 'occupied')
  for (const name of [join(out, 'a.gguf'), a.infoHash, '--out']) assert.ok(message.includes(name), message)
  assert.ok((await readFile(join(out, 'a.gguf'))).equals(theirs), 'not touched')
  await assertGot({ ...got, code: 0 }, [originals[1]!])
  assert.deepEqual((await readdir(out)).sort(), ['a.gguf', 'b.gguf'])
})

test('a name that is taken while the download runs is left alone', async (t) => {
  const folder = await scratchFolder(t)
  const out = join(folder, 'out')
  const shards = join(folder, 'shards')
  await mkdir(shards)
  await writeModel(join(shards, 'a.gguf'), { bytes: 4_000_000, seed: 1 })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap, args: ['--upload-limit', '1M'] })
  const { infoHash } = await host.announced('a.gguf')
  const get = startGet(t, [infoHash], { bootstrap, out })
  await get.waitForEvent('progress', { timeoutMs: PATIENCE_MS })
  await writeFile(join(out, 'a.gguf'), 'mine')
  const got = await ended(get)
  assert.equal(got.code, 4)
  assert.equal(theError(got).code, 'occupied')
  assert.equal(await readFile(join(out, 'a.gguf'), 'utf8'), 'mine')

  // The work is not lost: once the name is free, nothing has to be fetched again.
  await rm(join(out, 'a.gguf'))
  await host.cli.stop()
  await assertGot(await runGet(t, [infoHash], { bootstrap, out }), [join(shards, 'a.gguf')])
  assert.deepEqual(await readdir(out), ['a.gguf'])
})

test('what arrives and is no whole GGUF is thrown away', async (t) => {
  const folder = await scratchFolder(t)
  const { address: bootstrap } = await startBootstrap(t)
  const text = join(folder, 'text.gguf')
  await writeFile(text, 'Once upon a time there was a file that was no model.\n'.repeat(20_000))
  const cut = join(folder, 'cut.gguf')
  await writeModel(cut, { bytes: 2_000_000, seed: 7 })
  await truncate(cut, 1_999_999)
  for (const [path, words] of [
    [text, 'not a GGUF file'],
    [cut, '1,999,999'],
  ] as const) {
    await t.test(basename(path), async (t) => {
      const { infoHash, address } = await startForeignPeer(t, { path })
      const out = join(folder, `out-${basename(path)}`)
      const names = [basename(path), infoHash, words]
      const args = ['--peer', address]
      await refuses(t, { bootstrap, out, args }, { ids: [infoHash], code: 4, error: 'not-gguf', names })
    })
  }
})
