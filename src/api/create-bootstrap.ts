/** `createBootstrap`: the bootstrap node of a private DHT in this process. */
import { DEFAULTS, parsePortOption } from '../config.ts'
import { BootstrapNode } from '../fleet/bootstrap.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import { addressOf } from '../swarm/address.ts'
import type { Running } from './options.ts'
import { startUntil } from './settings.ts'

/** Settings of a bootstrap node; every one has a default. */
export interface CreateBootstrapOptions {
  /** IPv4 address to listen on; all unless told. */
  readonly bind?: string | undefined
  /** UDP port; 51820 unless told, 0 picks a free one. */
  readonly port?: number | undefined
  /** Where node id and routing table are kept; `models_cache/bootstrap` unless told. */
  readonly stateDir?: string | undefined
  /** Ends it, as everywhere. */
  readonly signal?: AbortSignal | undefined
}

/** A running bootstrap node. */
export interface RunningBootstrap extends Running {
  readonly port: number
  readonly nodeId: string
  /** What the others take as `bootstrap`. */
  readonly address: string
}

/**
 * Starts a bootstrap node, and its companions on the twelve ports after its own.
 * @throws {SwarmError} `port-in-use`, `locked`; the signal's reason
 */
export async function createBootstrap(options: CreateBootstrapOptions = {}): Promise<RunningBootstrap> {
  const { bind = DEFAULTS.bind, stateDir = DEFAULTS.bootstrapStateDir, signal } = options
  const wanted = parsePortOption(options.port ?? DEFAULTS.bootstrap.port, 'port')
  const { started, running } = await startUntil(signal, () =>
    BootstrapNode.start({ bind, stateDir, port: wanted }, {}),
  )
  const { port, nodeId } = started
  return { ...running, port, nodeId, address: formatPeerAddress({ host: await addressOf(bind), port }) }
}
