/** Wrong bytes, on a host's own disk or from a peer that lies, never become a downloaded file. */
import assert from 'node:assert/strict'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startForeignPeer } from '../helpers/foreign-peer.ts'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertGot,
  ended,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startBootstrap,
  startGet,
  startHost,
  theError,
  visibleFiles,
} from '../helpers/swarm.ts'

const BYTES = 16_000_000
const UPLOAD_LIMIT = '2M'

test('a shard that is overwritten on disk while it is served', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const [spoilt, sound] = [join(shards, 'spoilt.gguf'), join(shards, 'sound.gguf')]
  await writeModel(spoilt, { bytes: BYTES, seed: 1 })
  await writeModel(sound, { bytes: 1_000_000, seed: 2 })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap, args: ['--upload-limit', UPLOAD_LIMIT] })
  const [{ infoHash }, other] = await Promise.all([
    host.announced('spoilt.gguf'),
    host.announced('sound.gguf'),
  ])

  const out = join(folder, 'out')
  const get = startGet(t, [infoHash], { bootstrap, out, args: ['--timeout', '5'] })
  await get.waitForEvent('progress', {
    timeoutMs: PATIENCE_MS,
    where: (event) => event.verifiedBytes > 1_000_000,
  })
  const whole = await readFile(spoilt)
  await using file = await open(spoilt, 'r+')
  await file.write(Buffer.alloc(BYTES - 4096, 'wrong'), 0, BYTES - 4096, 4096) // all but the header, in place
  await file.close()
  const { reason } = await host.cli.waitForEvent('withdrawn', {
    timeoutMs: PATIENCE_MS,
    where: (event) => event.infoHash === infoHash,
  })
  assert.match(reason, /changed/)

  const got = await ended(get)
  assert.equal(got.code, 3, 'there is nobody any more who has it')
  assert.ok(theError(got).message.includes(infoHash))
  assert.deepEqual(await visibleFiles(out), [])
  const again = await host.seeding('spoilt.gguf', { where: (event) => event.infoHash !== infoHash })
  await assertGot(await runGet(t, [other.infoHash], { bootstrap, out }), [sound])
  assert.deepEqual(host.story('sound.gguf'), ['hashing', 'seeding'], 'the other went on')
  assert.deepEqual(host.story('spoilt.gguf'), ['hashing', 'seeding', 'withdrawn', 'hashing', 'seeding'])
  assert.notEqual(again.infoHash, infoHash)

  // What was downloaded before is right: with the old content back, the download goes on to the true file.
  const { address } = await startForeignPeer(t, { path: await restored(folder, whole) })
  const rest = await runGet(t, [infoHash], { bootstrap, out, args: ['--peer', address] })
  await assertGot(rest, [join(folder, 'spoilt.gguf')])
})

async function restored(folder: string, bytes: Buffer): Promise<string> {
  const path = join(folder, 'spoilt.gguf')
  await using file = await open(path, 'w')
  await file.writeFile(bytes)
  return path
}

test('a peer that sends wrong bytes', async (t) => {
  const folder = await scratchFolder(t)
  for (const name of ['shards', 'lies']) await mkdir(join(folder, name))
  const original = join(folder, 'shards', 'model.gguf')
  const lie = join(folder, 'lies', 'model.gguf')
  await writeModel(original, { bytes: 4_000_000, seed: 1 })
  await writeModel(lie, { bytes: 4_000_000, seed: 2, name: 'test model 1' }) // with an equal header
  const { address: bootstrap } = await startBootstrap(t)
  const liar = await startForeignPeer(t, { path: original, lie })

  const alone = await runGet(t, [liar.infoHash], {
    bootstrap,
    out: join(folder, 'alone'),
    args: ['--peer', liar.address, '--timeout', '5'],
  })
  assert.equal(alone.code, 3, alone.stderr)
  t.diagnostic(theError(alone).message)
  assert.deepEqual(await visibleFiles(join(folder, 'alone')), [])

  const host = await startHost(t, join(folder, 'shards'), { bootstrap })
  const { infoHash } = await host.announced('model.gguf')
  assert.equal(infoHash, liar.infoHash)
  const args = ['--peer', liar.address]
  await assertGot(await runGet(t, [infoHash], { bootstrap, out: join(folder, 'both'), args }), [original])
})
