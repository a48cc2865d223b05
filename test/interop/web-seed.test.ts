/**
 * A standard client fetches a shard from `web --serve` and nobody else: aria2 by the .torrent file alone, as its host
 * is gone; and `get --web-seeds` by the same file.
 */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { skipWithout, testNetwork } from '../helpers/netns.ts'
import { startCli, startProcess } from '../helpers/process.ts'
import { program } from '../helpers/requirements.ts'
import { ended } from '../helpers/swarm.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const READY_TIMEOUT_MS = 60_000
const FETCH_TIMEOUT_MS = 60_000
const BYTES = 20_000_000
const HTTP_PORT = 8080

test('the web server alone gives a shard to aria2 and to get', {
  skip: skipWithout(program('aria2c')),
}, async (t) => {
  const folder = await temporaryFolder(t)
  const network = testNetwork(t)
  const [here, there] = [network.host('here'), network.host('there')]
  await mkdir(join(folder, 'shards'))
  await writeModel(join(folder, 'shards', 'model.gguf'), { bytes: BYTES, seed: 6 })
  const bootstrap = startCli(t, ['bootstrap', '--state-dir', join(folder, 'bootstrap'), '--json'], here)
  await bootstrap.waitForEvent('listening', { timeoutMs: READY_TIMEOUT_MS })
  const state = ['--state-dir', join(folder, 'state')]
  const mirror = `http://${here.address}:${HTTP_PORT}/files/`
  const seed = ['seed', join(folder, 'shards'), ...state, '--torrents-dir', join(folder, 'torrents')]
  const host = startCli(t, [...seed, '--web-seed', mirror, '--json'], here)
  const { torrentFile, sha256 } = await host.waitForEvent('seeding', { timeoutMs: READY_TIMEOUT_MS })
  await host.stop()
  const ports = ['--host', '0.0.0.0', '--http-port', String(HTTP_PORT), '--live-port', '0']
  const web = startCli(t, ['web', '--serve', ...state, ...ports, '--json'], here)
  await web.waitForEvent('listening', { timeoutMs: READY_TIMEOUT_MS })

  // Without discovery of any kind: what comes, comes from the address in the file.
  const out = join(folder, 'aria2')
  const lonely = ['--enable-dht=false', '--bt-enable-lpd=false', '--seed-time=0', '--no-conf=true']
  const aria2 = startProcess(t, 'aria2c', [...lonely, `--dir=${out}`, torrentFile], there)
  assert.equal((await ended(aria2, FETCH_TIMEOUT_MS)).code, 0, aria2.stdout + aria2.stderr)
  assert.equal(hash('sha256', await readFile(join(out, 'model.gguf'))), sha256)

  const from = ['--bootstrap', `${here.address}:51820`, '--out', join(folder, 'got'), '--json']
  const got = startCli(t, ['get', torrentFile, '--web-seeds', ...from], there)
  const { path } = await got.waitForEvent('done', { timeoutMs: FETCH_TIMEOUT_MS })
  assert.equal(hash('sha256', await readFile(path)), sha256)
})
