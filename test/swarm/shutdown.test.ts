/** SIGINT and SIGTERM end every command within seconds, with the exit code that was promised and its ports free. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertPortsFree,
  type Cli,
  endedBy,
  PATIENCE_MS,
  STOP_LIMIT_MS,
  scratchFolder,
  startBootstrap,
  startGet,
  startHost,
  untilSaid,
  visibleFiles,
} from '../helpers/swarm.ts'

/** Slow enough that a download of 20 MB never ends by itself. */
const UPLOAD_LIMIT = '500K'

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends host, downloads and bootstrap`, async (t) => {
    const folder = await scratchFolder(t)
    await mkdir(join(folder, 'shards'))
    await writeModel(join(folder, 'shards', 'a.gguf'), { bytes: 20_000_000, seed: 3 })
    await writeModel(join(folder, 'shards', 'b.gguf'), { bytes: 300_000, seed: 4 })
    const bootstrap = await startBootstrap(t)
    const at = { bootstrap: bootstrap.address }
    const host = await startHost(t, join(folder, 'shards'), { ...at, args: ['--upload-limit', UPLOAD_LIMIT] })
    const [a, b] = await Promise.all([host.announced('a.gguf'), host.announced('b.gguf')])

    const ends = async (cli: Cli, code: number, what: string): Promise<void> => {
      const got = await endedBy(cli, signal)
      assert.equal(got.code, code, `${what}: ${got.stderr}`)
      assert.ok(got.tookMs < STOP_LIMIT_MS, `${what} took ${got.tookMs} ms to end`)
      assert.doesNotMatch(got.stderr, /\n\s+at /)
      t.diagnostic(`${what}: ${Math.round(got.tookMs)} ms`)
    }
    const download = startGet(t, [a.infoHash], { ...at, out: join(folder, 'out-a') })
    await download.waitForEvent('progress', {
      timeoutMs: PATIENCE_MS,
      where: (event) => event.verifiedBytes > 0,
    })
    await ends(download, 130, 'get')
    assert.deepEqual(await visibleFiles(join(folder, 'out-a')), [])
    const lookup = startGet(t, ['0'.repeat(40)], { ...at, out: join(folder, 'out-0'), json: false })
    await untilSaid(lookup, 'looking for it')
    await ends(lookup, 130, 'get that finds nobody')
    const seeding = startGet(t, [b.infoHash], { ...at, out: join(folder, 'out-b'), args: ['--seed'] })
    await seeding.waitForEvent('done', { timeoutMs: PATIENCE_MS })
    await untilSaid(seeding, 'seeding b.gguf')
    await ends(seeding, 0, 'get --seed')
    await ends(host.cli, 0, 'seed')
    await ends(bootstrap.cli, 0, 'bootstrap')

    const listening = host.cli.events().find((event) => event.event === 'listening')
    assert.ok(listening !== undefined)
    await assertPortsFree({ tcp: listening.port, udp: listening.dhtPort })
    await assertPortsFree({ udp: bootstrap.port })
  })
}

test('a terminal that is closed hangs up twice, which is no hurry: the host still says goodbye', async (t) => {
  const folder = await scratchFolder(t)
  const { address: bootstrap } = await startBootstrap(t)
  const [stays, goes] = await Promise.all([
    startHost(t, folder, { bootstrap, args: ['--name', 'stays'] }),
    startHost(t, folder, { bootstrap, args: ['--name', 'goes'] }),
  ])
  await Promise.all([untilSaid(stays.cli, 'Met host goes'), untilSaid(goes.cli, 'Met host stays')])
  goes.cli.kill('SIGHUP')
  await delay(20) // by the shell, then by the system; two at once would be one
  goes.cli.kill('SIGHUP')
  assert.deepEqual(await goes.cli.exited, { code: 0, signal: null })
  await untilSaid(stays.cli, 'Host goes left')
})
