/** All of the doctor's checks, for a host as it would be started. */
import { readFile } from 'node:fs/promises'
import { DEFAULTS, PUBLIC_BOOTSTRAP } from '../../config.ts'
import type { DhtChoice } from '../network.ts'
import { checkShards, checkWritable } from './disk.ts'
import type { Finding } from './finding.ts'
import { checkClock, checkNode, checkOpenFiles, checkWatches } from './machine.ts'
import { checkAddress, checkDht, checkPort, type WantedPort } from './ports.ts'

/** The host that is to be, and the page beside it. */
export interface DoctorOptions {
  readonly folders: readonly string[]
  readonly stateDir: string
  readonly torrentsDir: string
  readonly bind: string
  /** null for any free one. */
  readonly port: number | null
  readonly dhtPort: number | null
  readonly dht: DhtChoice
  readonly advertise: readonly string[]
  readonly maxConns: number
}

/** Runs all checks at once; gives their findings in an order to be read. */
export async function examine(options: DoctorOptions, signal: AbortSignal): Promise<readonly Finding[]> {
  const { folders, stateDir, torrentsDir, dht, advertise, maxConns } = options
  const isPublic = dht.kind === 'public'
  const nodes = isPublic ? PUBLIC_BOOTSTRAP : dht.bootstrap
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => null)
  return Promise.all([
    checkNode(process.versions.node),
    checkOpenFiles(limits, maxConns),
    checkWatches(folders),
    checkClock(stateDir),
    ...folders.map(checkShards),
    checkWritable('state', 'State', stateDir),
    checkWritable('torrents', 'Torrents', torrentsDir),
    ...portsOf(options).map(checkPort),
    checkAddress(dht, advertise, nodes[0] ?? DEFAULTS.bootstrap),
    checkDht(nodes, isPublic, signal),
  ])
}

function portsOf({ bind, port, dhtPort }: DoctorOptions): readonly WantedPort[] {
  const host: WantedPort[] = []
  if (port !== null) {
    host.push({ protocol: 'TCP', bind, port, option: '--port', purpose: 'BitTorrent', isRequired: true })
  }
  if (dhtPort !== null) {
    host.push({
      protocol: 'UDP',
      bind,
      port: dhtPort,
      option: '--dht-port',
      purpose: 'the DHT',
      isRequired: true,
    })
  }
  const { host: webHost, httpPort, livePort } = DEFAULTS.web
  const web = { protocol: 'TCP', bind: webHost, isRequired: false } as const
  return [
    ...host,
    { ...web, port: httpPort, option: '--http-port', purpose: 'the page of `web`' },
    { ...web, port: livePort, option: '--live-port', purpose: 'the live feed of `web`' },
  ]
}
