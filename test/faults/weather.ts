/** A bootstrap, a host and downloads, each in a namespace of its own, on a network with bad weather. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import type { Host } from '../helpers/netns.ts'
import { type RunningProcess, startCli } from '../helpers/process.ts'
import { PATIENCE_MS, scratchFolder } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import type { WeatherNetwork } from '../helpers/weather.ts'

export interface Scene {
  readonly original: string
  /** Starts a download into a folder of this name. */
  get(name: string): RunningProcess
  /** Waits until a download has more than so many bytes. */
  moved(got: RunningProcess, bytes: number): Promise<unknown>
  /** Waits until it has looked at itself so many times more, twice a second, or is done: not every cut reaches it. */
  looks(got: RunningProcess, times: number): Promise<unknown>
}

export interface SceneOptions {
  readonly bytes: number
  readonly seed: number
  /** The host's upload limit. */
  readonly limit: string
}

/** Starts bootstrap and host on the first two of three hosts; downloads run on the third. */
export async function startScene(
  t: TestContext,
  { hosts }: WeatherNetwork,
  { bytes, seed, limit }: SceneOptions,
): Promise<Scene> {
  const [bootstrapHost, seedHost, getHost] = hosts as [Host, Host, Host]
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', 'model.gguf')
  await writeModel(original, { bytes, seed })
  const at = ['--bootstrap', `${bootstrapHost.address}:51820`, '--json']
  const state = ['--state-dir', join(folder, 'bootstrap')]
  const bootstrap = startCli(t, ['bootstrap', ...state, '--json'], bootstrapHost)
  await bootstrap.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  const folders = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const args = ['seed', join(folder, 'shards'), ...folders, '--upload-limit', limit, ...at]
  const { infoHash } = await startCli(t, args, seedHost).waitForEvent('announced', { timeoutMs: PATIENCE_MS })
  return {
    original,
    get: (name) => startCli(t, ['get', infoHash, '--out', join(folder, name), ...at], getHost),
    moved: (got, bytes) =>
      got.waitForEvent('progress', {
        timeoutMs: 2 * PATIENCE_MS,
        where: ({ verifiedBytes }) => verifiedBytes > bytes,
      }),
    looks: (got, times) => {
      const before = got.events().length
      const isEnough = (): boolean =>
        got.events().length > before + times || got.events().some(({ event }) => event === 'done')
      return until(isEnough, { timeoutMs: PATIENCE_MS, what: 'more looks' })
    },
  }
}

/** The download ends well, with the right bytes. */
export async function assertArrives(got: RunningProcess, { original }: Scene): Promise<void> {
  const { path } = await got.waitForEvent('done', { timeoutMs: 3 * PATIENCE_MS })
  assert.ok((await readFile(original)).equals(await readFile(path)), 'the same bytes')
  assert.equal((await got.exited).code, 0)
}
