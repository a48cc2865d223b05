/** Processes that are stopped for a while and go on (SIGSTOP, SIGCONT), and a time of day that jumps. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { writeModel } from '../helpers/gguf.ts'
import type { CliEvent, EventNamed, RunningProcess } from '../helpers/process.ts'
import { startCli } from '../helpers/process.ts'
import { ended, PATIENCE_MS, scratchFolder } from '../helpers/swarm.ts'

const UPLOAD_LIMIT = 1024 * 1024

export interface SuspendOptions {
  readonly bytes: number
  /** Without a new byte for so long a download gives up; shorter than it is made to sleep. */
  readonly timeoutSeconds: number
  readonly env?: Readonly<Record<string, string>>
}

/** A bootstrap, a host and a download of its shard, each a process. */
export interface Trio {
  readonly bootstrap: RunningProcess
  readonly host: RunningProcess
  readonly get: RunningProcess
  /** Waits until the download has so many bytes more. */
  more(bytes: number): Promise<void>
  /** Waits for the end of the download, which must be whole and right. */
  arrives(): Promise<void>
  /** Fetches the shard afresh, by DHT. */
  again(): Promise<void>
}

export async function startTrio(
  t: TestContext,
  { bytes, timeoutSeconds, env = {} }: SuspendOptions,
): Promise<Trio> {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', 'model.gguf')
  await writeModel(original, { bytes, seed: 7 })
  const local = ['--bind', '127.0.0.1', '--json']
  const start = (args: readonly string[]): RunningProcess => startCli(t, [...args, ...local], { env })
  const bootstrap = start(['bootstrap', '--port', '0', '--state-dir', join(folder, 'bootstrap')])
  const { port } = await bootstrap.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  const at = ['--bootstrap', `127.0.0.1:${port}`]
  const folders = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const limit = ['--upload-limit', String(UPLOAD_LIMIT)]
  const host = start(['seed', join(folder, 'shards'), ...folders, ...limit, ...at])
  const { infoHash } = await host.waitForEvent('announced', { timeoutMs: PATIENCE_MS })
  let gets = 0
  const fetch = (): RunningProcess => {
    const out = join(folder, `out-${gets++}`)
    return start(['get', infoHash, '--out', out, '--timeout', String(timeoutSeconds), ...at])
  }
  const arrived = async (get: RunningProcess): Promise<void> => {
    const { code, stderr, events } = await ended(get, PATIENCE_MS + (bytes / UPLOAD_LIMIT) * 2_000)
    assert.equal(code, 0, stderr)
    const { path } = events.find((event) => event.event === 'done') as EventNamed<CliEvent, 'done'>
    assert.ok((await readFile(path)).equals(await readFile(original)), 'the same bytes')
  }
  const get = fetch()
  return {
    bootstrap,
    host,
    get,
    arrives: () => arrived(get),
    again: () => arrived(fetch()),
    more: async (bytes) => {
      const have = verifiedBytes(get)
      const where = (event: EventNamed<CliEvent, 'progress'>): boolean => event.verifiedBytes >= have + bytes
      await get.waitForEvent('progress', { timeoutMs: PATIENCE_MS, where })
    },
  }
}

function verifiedBytes(get: RunningProcess): number {
  const last = get.events().findLast((event) => event.event === 'progress')
  return (last as EventNamed<CliEvent, 'progress'> | undefined)?.verifiedBytes ?? 0
}

/** Stops processes for `ms`, and lets them go on. */
export async function suspend(processes: readonly RunningProcess[], ms: number): Promise<void> {
  for (const one of processes) one.kill('SIGSTOP')
  await pause(ms) // that nothing happens for so long is the scenario
  for (const one of processes) one.kill('SIGCONT')
}
