/** Web seeds with real processes: `seed --web-seed`, `web --serve`, `get --web-seeds`. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { afterTest } from '../helpers/after-test.ts'
import { writeModel } from '../helpers/gguf.ts'
import { assertGot, runGet, scratchFolder, startBootstrap, startHost, theError } from '../helpers/swarm.ts'
import { startWebCommand } from '../helpers/web-command.ts'

const BYTES = 3_000_000

test('a host that is gone: its shards come from its web server, if the person allows it', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  await writeModel(join(shards, 'a b.gguf'), { bytes: BYTES, seed: 1 })
  const bootstrap = await startBootstrap(t)
  const at = { bootstrap: bootstrap.address, home: join(folder, 'home') }
  const dht = ['--bind', '127.0.0.1', '--bootstrap', bootstrap.address]
  const serve = ['--serve', '--state-dir', join(at.home, 'state')]
  const { url } = await startWebCommand(t, [...dht, ...serve])
  const other = 'https://mirror.invalid/other.gguf'
  const host = await startHost(t, shards, {
    ...at,
    args: ['--web-seed', `${url}/files/`, '--web-seed', other],
  })
  const { magnet, torrentFile, sha256 } = await host.announced('a b.gguf')
  const mirror = `${url}/files/a%20b.gguf`
  assert.ok(magnet.endsWith(`&ws=${encodeURIComponent(mirror)}`), magnet)
  assert.deepEqual(parseMetainfo(await readFile(torrentFile)).webSeeds, [mirror])
  await host.cli.stop()

  const original = [join(shards, 'a b.gguf')]
  const get = (name: string, ...args: readonly string[]) =>
    runGet(t, [torrentFile], { bootstrap: bootstrap.address, out: join(folder, name), args })
  // Off by default: a private fleet fails closed.
  const refused = await get('closed', '--timeout', '4')
  assert.equal(refused.code, 3)
  assert.equal(theError(refused).code, 'not-found')
  // A link may not lead to this machine itself …
  const linked = await get('linked', '--timeout', '4', '--web-seeds')
  assert.equal(linked.code, 3)
  const left = linked.events.find((event) => event.event === 'web-seed' && event.state === 'left')
  assert.match((left?.event === 'web-seed' && left.reason) || '', /an address of this machine/)
  // … a person may.
  const got = await get('named', '--web-seed', `${url}/files/`)
  const [done] = await assertGot(got, original)
  assert.equal(done?.sha256, sha256)
  assert.ok(got.events.some((event) => event.event === 'web-seed' && event.url === mirror))
})

test('a mirror that lies and a dead one are said and left; the host gives the shard', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  await writeModel(join(shards, 'a.gguf'), { bytes: BYTES, seed: 2 })
  const liar = createServer((request, response) => {
    const [, from = '0', to = '0'] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const length = Number(to) - Number(from) + 1
    response.writeHead(206, { 'Content-Range': `bytes ${from}-${to}/${BYTES}`, 'Content-Length': length })
    response.end(Buffer.alloc(length, 7))
  })
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve))
  afterTest(t, () => liar.close())
  const { port } = liar.address() as AddressInfo
  const bootstrap = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap: bootstrap.address })
  const { torrentFile } = await host.announced('a.gguf')
  const mirrors = [`http://127.0.0.1:${port}/`, 'http://127.0.0.1:9/'].flatMap((url) => ['--web-seed', url])
  const options = { bootstrap: bootstrap.address, out: join(folder, 'out') }
  // The mirror is there at once, the host has to be found: so the first piece is the liar's.
  const got = await runGet(t, [torrentFile], { ...options, args: mirrors })
  await assertGot(got, [join(shards, 'a.gguf')])
  const reasons = got.events.flatMap((event) => (event.event === 'web-seed' ? (event.reason ?? []) : []))
  assert.ok(reasons.includes('it sent wrong data'), JSON.stringify(got.events))
  const wrong = await runGet(t, [torrentFile], { ...options, args: ['--web-seed', 'ftp://a/b'] })
  assert.equal(wrong.code, 2)
  assert.equal(theError(wrong).code, 'bad-url')
})
