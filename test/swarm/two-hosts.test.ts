/** Two hosts that share nothing but a shard are one swarm, and a download draws from both. */
import assert from 'node:assert/strict'
import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { assertGot, runGet, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'

const MIB = 1024 * 1024
const BYTES = 32 * MIB
/** Of each host, in bytes a second. */
const UPLOAD_LIMIT = 4 * MIB

test('two hosts with the same shard print the same infohash, and get draws from both', async (t) => {
  const folder = await scratchFolder(t)
  const shards = ['first', 'second'].map((name) => join(folder, name, 'models'))
  for (const path of shards) await mkdir(path, { recursive: true })
  const original = join(shards[0]!, 'same.gguf')
  await writeModel(original, { bytes: BYTES, seed: 5 })
  await cp(original, join(shards[1]!, 'same.gguf'))

  const { address: bootstrap } = await startBootstrap(t)
  const args = ['--upload-limit', String(UPLOAD_LIMIT)]
  const hosts = await Promise.all(shards.map((path) => startHost(t, path, { bootstrap, args })))
  const [first, second] = await Promise.all(hosts.map((host) => host.announced('same.gguf')))
  assert.equal(first!.infoHash, second!.infoHash)
  assert.equal(first!.sha256, second!.sha256)

  const got = await runGet(t, [first!.infoHash], { bootstrap, out: join(folder, 'out') })
  const [done] = await assertGot(got, [original])
  const began = got.events.find((event) => event.event === 'metadata')
  const tookMs = Date.parse(done!.time) - Date.parse(began!.time)
  // The most that one host alone could have sent: its rate, and a second's worth saved up before.
  const fromOne = UPLOAD_LIMIT * (tookMs / 1000 + 1)
  t.diagnostic(`${BYTES / MIB} MiB in ${tookMs} ms from two hosts of ${UPLOAD_LIMIT / MIB} MiB/s each`)
  assert.ok(BYTES > fromOne, `${BYTES} bytes in ${tookMs} ms could have come from one host`)
  const peers = got.events.map((event) => (event.event === 'progress' ? event.peers : 0))
  assert.equal(Math.max(...peers), 2)
})
