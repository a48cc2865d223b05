/** Stops at any moment, in the short form; `npm run test:soak stops` goes on with it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { writeModel } from '../helpers/gguf.ts'
import { CLI, type CliEvent, startProcess } from '../helpers/process.ts'
import { Random, TEST_SEED } from '../helpers/random.ts'
import { skipUnless } from '../helpers/requirements.ts'
import { STRACE, underStrace } from '../helpers/strace.ts'
import { assertPortsFree, PATIENCE_MS, scratchFolder } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { BUSY_MS, PROMISED_STOP_MS, STOPPABLES, stopOnce, stopWorld } from './stops.ts'

test('every command stops at any moment, whoever hangs on it', { concurrency: true }, async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const random = new Random(TEST_SEED)
  const world = await stopWorld(t)
  await Promise.all(
    STOPPABLES.map((stoppable) => {
      const own = new Random(random.below(1_000_000_000))
      return t.test(stoppable.name, async (t) => {
        const { tookMs, afterMs } = await stopOnce(t, world, stoppable, own)
        t.diagnostic(`told after ${afterMs} ms, ended ${Math.round(tookMs)} ms later`)
      })
    }),
  )
})

/** Longer than anything here waits. */
const HUNG_DISK_US = 30_000_000

test('a disk that hangs', { skip: skipUnless(STRACE), concurrency: 2 }, async (t) => {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  await writeModel(join(folder, 'shards', 'a.gguf'), { bytes: 300_000, seed: TEST_SEED })
  /** A host whose first flushes are well, and later ones, of its record and its stop, do not come back. */
  const hungHost = async (t: TestContext, name: string) => {
    const home = join(folder, name)
    const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', join(home, 'torrents')]
    const at = ['--bind', '127.0.0.1', '--bootstrap', '127.0.0.1:9', '--json']
    const hang = { calls: ['fsync'], fault: `delay_enter=${HUNG_DISK_US}:when=4+` }
    const self = [process.execPath, CLI, 'seed', join(folder, 'shards'), ...folders, ...at]
    const [command = '', ...args] = underStrace(hang, self)
    const host = startProcess<CliEvent>(t, command, args, { env: { UV_THREADPOOL_SIZE: '1' } })
    const { port, dhtPort } = await host.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
    await host.waitForEvent('hashing', { timeoutMs: PATIENCE_MS })
    return { host, tcp: port, udp: dhtPort }
  }
  // The thread at the disk is not ours to end; of the rest of the process nothing is left.
  const ended = (pid: number): Promise<unknown> =>
    until(() => isZombie(pid), { timeoutMs: 2 * PROMISED_STOP_MS, what: 'the process has ended' })

  await Promise.all([
    t.test('keeps neither the ports nor the process', async (t) => {
      const { host, tcp, udp } = await hungHost(t, 'patient')
      const startedAt = performance.now()
      const passedMs = (): number => Math.round(performance.now() - startedAt)
      host.kill('SIGTERM')
      await until(() => assertPortsFree({ tcp, udp }).then(() => true), {
        timeoutMs: PROMISED_STOP_MS,
        what: 'its ports are free',
      })
      t.diagnostic(`ports free after ${passedMs()} ms`)
      await ended(host.pid)
      t.diagnostic(`ended after ${passedMs()} ms`)
      assert.ok(passedMs() < PROMISED_STOP_MS + BUSY_MS)
    }),
    t.test('a second signal ends it at once', async (t) => {
      const { host } = await hungHost(t, 'hurried')
      host.kill('SIGINT')
      await pause(200) // two signals in one moment would be one to the system
      const startedAt = performance.now()
      host.kill('SIGINT')
      await ended(host.pid)
      const tookMs = Math.round(performance.now() - startedAt)
      t.diagnostic(`${tookMs} ms`)
      assert.ok(tookMs < BUSY_MS, `${tookMs} ms`)
    }),
  ])
})

/** Has its main thread ended, as far as anybody can see? */
function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return true // it is gone altogether
  }
}
