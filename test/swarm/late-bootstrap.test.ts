/** A host is found however late its bootstrap comes, and whatever happens to the bootstrap later. */
import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { peersNamedBy } from '../helpers/dht-peers.ts'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertGot,
  freeUdpPort,
  type Host,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startBootstrap,
  startHost,
  untilSaid,
} from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'

const FOUND_WITHIN_MS = 30_000
const WHOLE_AGAIN_WITHIN_MS = 60_000

test('a bootstrap that comes late, restarts, and loses its memory', async (t) => {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', 'a.gguf')
  await writeModel(original, { bytes: 3_000_000, seed: 6 })
  const port = await freeUdpPort()
  const address = `127.0.0.1:${port}`

  const host = await startHost(t, join(folder, 'shards'), { bootstrap: address })
  const { infoHash } = await host.seeding('a.gguf')
  await untilSaid(host.cli, `No DHT node answers at ${address}`)
  assert.match(host.cli.stderr, /keeps trying\. Start a bootstrap node with `gguf-swarm bootstrap`/)
  assert.deepEqual(host.story('a.gguf'), ['hashing', 'seeding'], 'it serves meanwhile')

  /** Fetches the shard, and waits until the bootstrap itself names the host again. */
  const isFoundWithin = async (t: TestContext, limitMs: number, out: string): Promise<void> => {
    const startedAt = performance.now()
    const isNamed = async () => (await peersNamedBy(port, infoHash)).includes(await host.address())
    const named = until(isNamed, { timeoutMs: limitMs, what: 'the host, named by the bootstrap' }).then(
      () => performance.now() - startedAt,
    )
    const got = await runGet(t, [infoHash], { bootstrap: address, out: join(folder, out) })
    const gotMs = performance.now() - startedAt
    const namedMs = await named
    await assertGot(got, [original])
    assert.ok(gotMs <= limitMs, `${gotMs} ms`)
    t.diagnostic(
      `${out}: fetched ${Math.round(gotMs)} ms, named ${Math.round(namedMs)} ms after the bootstrap's start`,
    )
  }

  const stateDir = join(folder, 'bootstrap')
  const first = await startBootstrap(t, { stateDir, port })
  await isFoundWithin(t, FOUND_WITHIN_MS, 'late')
  await announcedTo(host, infoHash)

  first.cli.kill('SIGKILL')
  await first.cli.exited
  const second = await startBootstrap(t, { stateDir, port })
  assert.equal(second.nodeId, first.nodeId, 'the node id survives')
  await isFoundWithin(t, WHOLE_AGAIN_WITHIN_MS, 'restarted')

  second.cli.kill('SIGKILL')
  await second.cli.exited
  await rm(stateDir, { recursive: true })
  const third = await startBootstrap(t, { stateDir, port })
  assert.notEqual(third.nodeId, first.nodeId)
  await isFoundWithin(t, WHOLE_AGAIN_WITHIN_MS, 'wiped')
})

function announcedTo(host: Host, infoHash: string): Promise<unknown> {
  return host.cli.waitForEvent('announced', {
    timeoutMs: PATIENCE_MS,
    where: (event) => event.infoHash === infoHash,
  })
}
