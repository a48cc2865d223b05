/** A fleet out of the product's own processes: a bootstrap and hosts that hold one key, each with its shards. */
import { copyFile, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { TestContext } from 'node:test'
import { Coordinator, type CoordinatorOptions } from '../../src/fleet/coordinator.ts'
import { createKeyFile, loadKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { formatShardName } from '../../src/gguf/shards.ts'
import { parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import { afterTest } from './after-test.ts'
import { writeModel } from './gguf.ts'
import { type Bootstrap, type Host, PATIENCE_MS, scratchFolder, startBootstrap, startHost } from './swarm.ts'
import { until } from './until.ts'

export interface FleetHost extends Host {
  readonly name: string
  /** Its folder of shards. */
  readonly folder: string
}

export interface Fleet {
  readonly folder: string
  readonly bootstrap: Bootstrap
  readonly keyFile: string
  readonly hosts: readonly FleetHost[]
  /** The shards' files as they were made, outside any host's folder. */
  readonly originals: readonly string[]
  /** Options that make any command a member of this fleet on loopback. */
  readonly memberArgs: readonly string[]
  /** Starts one more host, or one again, on its folder as it is. */
  startHost(name: string, args?: readonly string[]): Promise<FleetHost>
}

export interface FleetOptions {
  /** Default 4; with 0 there is a bootstrap and a key. */
  readonly hosts?: number
  /** For every host, such as `--replicate`. */
  readonly args?: readonly string[]
  /** Shards of the split model `tiny`, dealt one each; default: as many as hosts. */
  readonly shards?: number
  /** Of each shard. */
  readonly bytes?: number
}

/** Writes a split set `name-00001-of-0000N.gguf` …; gives the paths in order. */
export async function writeSplitModel(
  folder: string,
  name: string,
  { count, bytes, seed = 1 }: { readonly count: number; readonly bytes: number; readonly seed?: number },
): Promise<readonly string[]> {
  const paths = Array.from({ length: count }, (_, index) =>
    join(folder, formatShardName({ prefix: name, number: index + 1, count })),
  )
  for (const [no, path] of paths.entries()) {
    await writeModel(path, { bytes, seed: seed * 1_000 + no, name, split: { no, count } })
  }
  return paths
}

/** Starts bootstrap and hosts; resolves when every host seeds its share. */
export async function startFleet(t: TestContext, options: FleetOptions = {}): Promise<Fleet> {
  const { hosts: count = 4, args = [], shards = count, bytes = 600_000 } = options
  const folder = await scratchFolder(t)
  const keyFile = join(folder, 'fleet.key')
  await createKeyFile(keyFile)
  const bootstrap = await startBootstrap(t)
  await mkdir(join(folder, 'originals'))
  const originals = await writeSplitModel(join(folder, 'originals'), 'tiny', { count: shards, bytes })
  const memberArgs = ['--bind', '127.0.0.1', '--bootstrap', bootstrap.address, '--fleet-key', keyFile]
  const start = async (name: string, more: readonly string[] = args): Promise<FleetHost> => {
    const share = join(folder, name, 'shards')
    await mkdir(share, { recursive: true })
    const host = await startHost(t, share, {
      bootstrap: bootstrap.address,
      home: join(folder, name),
      args: ['--fleet-key', keyFile, '--name', name, ...more],
    })
    return { ...host, name, folder: share }
  }
  const names = Array.from({ length: count }, (_, index) => `shard-${index}`)
  for (const name of names) await mkdir(join(folder, name, 'shards'), { recursive: true })
  for (const [index, file] of originals.entries()) {
    await copyFile(file, join(folder, names[index % count]!, 'shards', basename(file)))
  }
  const hosts = await Promise.all(names.map((name) => start(name)))
  for (const [index, file] of originals.entries()) await hosts[index % count]!.announced(basename(file))
  return { folder, bootstrap, keyFile, hosts, originals, memberArgs, startHost: start }
}

/** A coordinator of the fleet in this process, stopped after the test. */
export async function startCoordinator(
  t: TestContext,
  { bootstrap, keyFile }: Pick<Fleet, 'bootstrap' | 'keyFile'>,
  options: Partial<CoordinatorOptions> = {},
): Promise<Coordinator> {
  const free = { port: 0, required: false }
  const coordinator = await Coordinator.start({
    bind: '127.0.0.1',
    port: free,
    dhtPort: free,
    dht: { kind: 'private', bootstrap: [parsePeerAddress(bootstrap.address)!] },
    key: await loadKeyFile(keyFile),
    wantedReplicas: 2,
    watchesSwarms: false,
    ...options,
  })
  afterTest(t, () => coordinator.stop())
  return coordinator
}

/** Waits until the coordinator's picture is as wanted. */
export async function untilPictured(
  coordinator: Coordinator,
  check: (status: FleetStatus) => boolean,
  { timeoutMs = PATIENCE_MS, what = 'the picture' }: { timeoutMs?: number; what?: string } = {},
): Promise<FleetStatus> {
  return until(() => (check(coordinator.status) ? coordinator.status : undefined), { timeoutMs, what })
}
