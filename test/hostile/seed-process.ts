/** A `gguf-swarm seed` process with one small shard, whose memory can be looked at from outside. */
import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { metainfoFromInfo, parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { buildGguf } from '../helpers/gguf.ts'
import { startCli } from '../helpers/process.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { PATIENCE_MS } from '../helpers/swarm.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import type { Content } from './swarm-kit.ts'

export interface SeedProcess {
  readonly pid: number
  readonly port: number
  readonly content: Content
  ended(): boolean
}

/** Starts the host and waits until it serves; nobody answers at its bootstrap, so it stays alone. */
export async function seedProcess(t: TestContext): Promise<SeedProcess> {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'models')
  await mkdir(models)
  const path = join(models, 'shard.gguf')
  const data = new SeededBytes(3).next(3_000_000)
  await writeFile(path, buildGguf({ tensors: [{ name: 'weights', dims: [3_000_000], type: 'i8', data }] }))
  const [stateDir, torrentsDir] = [join(folder, 'state'), join(folder, 'torrents')]
  const args = ['seed', models, '--json', '--bind', '127.0.0.1', '--port', '0', '--dht-port', '0']
  const host = startCli(t, [
    ...args,
    '--bootstrap',
    '127.0.0.1:9',
    '--state-dir',
    stateDir,
    '--torrents-dir',
    torrentsDir,
  ])
  let ended = false
  void host.exited.then(() => {
    ended = true
  })
  const { port } = await host.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  const { torrentFile } = await host.waitForEvent('seeding', { timeoutMs: PATIENCE_MS })
  const metainfo = metainfoFromInfo(parseMetainfo(await readFile(torrentFile)).info)
  return {
    pid: host.pid,
    port,
    content: { ...metainfo, bytes: await readFile(path), path, folder },
    ended: () => ended,
  }
}

/** Resident memory of a process in bytes (Linux). */
export function rssOf(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}
