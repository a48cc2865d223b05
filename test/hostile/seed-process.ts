/** A `gguf-swarm seed` process with one small shard, whose memory can be looked at from outside. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { writeModel } from '../helpers/gguf.ts'
import { PATIENCE_MS, scratchFolder, startHost } from '../helpers/swarm.ts'
import type { Content } from './swarm-kit.ts'

export interface SeedProcess {
  readonly pid: number
  readonly port: number
  readonly content: Content
  ended(): boolean
}

/** Starts the host and waits until it serves; nobody answers at its bootstrap, so it stays alone. */
export async function seedProcess(t: TestContext): Promise<SeedProcess> {
  const folder = join(await scratchFolder(t), 'models')
  await mkdir(folder)
  const path = join(folder, 'shard.gguf')
  await writeModel(path, { bytes: 3_000_000, seed: 3 })
  const { cli, seeding } = await startHost(t, folder, { bootstrap: '127.0.0.1:9' })
  let ended = false
  void cli.exited.then(() => {
    ended = true
  })
  const { port } = await cli.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  const { torrentFile } = await seeding('shard.gguf')
  const metainfo = parseMetainfo(await readFile(torrentFile))
  return {
    pid: cli.pid,
    port,
    content: { ...metainfo, bytes: await readFile(path), path, folder },
    ended: () => ended,
  }
}
