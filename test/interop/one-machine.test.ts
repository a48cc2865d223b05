/**
 * What a newcomer does: `bootstrap` and `seed` on one machine, as they are, and `get` on another. The host reaches
 * its bootstrap over loopback, which must not be the address that the other machine is sent to.
 */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { skipWithout, testNetwork } from '../helpers/netns.ts'
import { startCli } from '../helpers/process.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const READY_TIMEOUT_MS = 30_000
/** Measured 1.5 s; an address that leads nowhere costs some 10 s, each time. */
const FETCH_LIMIT_MS = 8_000
const ATTEMPTS = 3

test('a host that shares a machine with its bootstrap is found from another', {
  skip: skipWithout(),
}, async (t) => {
  const folder = await temporaryFolder(t)
  const network = testNetwork(t)
  const here = network.host('here')
  const there = network.host('there')
  await mkdir(join(folder, 'shards'))
  await writeModel(join(folder, 'shards', 'model.gguf'), { bytes: 1_000_000, seed: 5 })

  const bootstrap = startCli(t, ['bootstrap', '--state-dir', join(folder, 'bootstrap'), '--json'], here)
  await bootstrap.waitForEvent('listening', { timeoutMs: READY_TIMEOUT_MS })
  const folders = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const host = startCli(t, ['seed', join(folder, 'shards'), ...folders, '--json'], here)
  const { infoHash } = await host.waitForEvent('announced', { timeoutMs: READY_TIMEOUT_MS })

  const fetch = async (out: string): Promise<number> => {
    const start = performance.now()
    const from = ['--bootstrap', `${here.address}:51820`, '--timeout', '30', '--json']
    const got = startCli(t, ['get', infoHash, '--out', join(folder, out), ...from], there)
    await got.waitForEvent('done', { timeoutMs: READY_TIMEOUT_MS })
    const tookMs = performance.now() - start
    t.diagnostic(`fetched after ${(tookMs / 1000).toFixed(1)} s`)
    return tookMs
  }
  // A busy machine may be slow once or twice.
  const took: number[] = []
  while (took.length < ATTEMPTS && !took.some((ms) => ms < FETCH_LIMIT_MS)) {
    took.push(await fetch(`got-${took.length}`))
  }
  assert.ok(Math.min(...took) < FETCH_LIMIT_MS, `took ${took.join(', ')} ms`)
})
