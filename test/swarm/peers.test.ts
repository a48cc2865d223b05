/** Without any DHT: peers named on the command line or in the magnet; and downloads that become hosts themselves. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertGot,
  ended,
  endedBy,
  freeUdpPort,
  PATIENCE_MS,
  runGet,
  STOP_LIMIT_MS,
  scratchFolder,
  startBootstrap,
  startGet,
  startHost,
  theError,
  untilSaid,
} from '../helpers/swarm.ts'

test('a named peer is enough', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const original = join(shards, 'a.gguf')
  await writeModel(original, { bytes: 2_000_000, seed: 1 })
  const bootstrap = `127.0.0.1:${await freeUdpPort()}` // where nobody is
  const args = ['--advertise', '127.0.0.1:7777', '--advertise', 'host.example:6881']
  const host = await startHost(t, shards, { bootstrap, args })
  const { infoHash, magnet } = await host.seeding('a.gguf')
  assert.ok(magnet.endsWith('&x.pe=127.0.0.1:7777&x.pe=host.example:6881'), magnet)
  const address = await host.address()

  await t.test('--peer', async (t) => {
    const out = join(folder, 'out-peer')
    await assertGot(await runGet(t, [infoHash], { bootstrap, out, args: ['--peer', address] }), [original])
  })
  await t.test('x.pe in the magnet', async (t) => {
    const out = join(folder, 'out-magnet')
    const id = magnet.replace('127.0.0.1:7777', address)
    await assertGot(await runGet(t, [id], { bootstrap, out }), [original])
  })
  await t.test('a peer that is not there is named in the reason', async (t) => {
    const nobody = `127.0.0.1:${await freeUdpPort()}`
    const out = join(folder, 'out-none')
    const got = await runGet(t, [infoHash], { bootstrap, out, args: ['--peer', nobody, '--timeout', '4'] })
    assert.equal(got.code, 3, got.stderr)
    assert.ok(theError(got).message.includes(nobody), theError(got).message)
    t.diagnostic(theError(got).message)
  })
  const { code, tookMs } = await endedBy(host.cli, 'SIGTERM')
  assert.equal(code, 0)
  assert.ok(tookMs < STOP_LIMIT_MS, `a host without a DHT took ${tookMs} ms to stop`)
})

test('a download with --seed serves others when its host is gone', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const original = join(shards, 'a.gguf')
  await writeModel(original, { bytes: 2_000_000, seed: 2 })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap })
  const { infoHash } = await host.announced('a.gguf')

  const first = startGet(t, [infoHash], { bootstrap, out: join(folder, 'first'), args: ['--seed'] })
  await untilSaid(first, 'seeding a.gguf')
  await host.cli.stop()
  await assertGot(await runGet(t, [infoHash], { bootstrap, out: join(folder, 'second') }), [original])
})

test('two downloads of one shard into one folder: the second is refused, and says why', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const original = join(shards, 'a.gguf')
  await writeModel(original, { bytes: 8_000_000, seed: 3 })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap, args: ['--upload-limit', '1M'] })
  const { infoHash } = await host.announced('a.gguf')
  const at = { bootstrap, out: join(folder, 'out') }
  const first = startGet(t, [infoHash], at)
  await first.waitForEvent('progress', { timeoutMs: PATIENCE_MS })
  const second = await runGet(t, [infoHash], at)
  assert.equal(second.code, 1, second.stderr)
  const { code, message } = theError(second)
  assert.equal(code, 'locked')
  assert.ok(message.includes(String(first.pid)) && message.includes('--out'), message)
  t.diagnostic(message)
  await assertGot(await ended(first), [original])
})
