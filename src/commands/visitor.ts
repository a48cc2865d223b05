/** The place in the swarm of a process that comes and goes, such as a download. */
import { randomBytes } from 'node:crypto'
import { DEFAULTS } from '../config.ts'
import type { NetworkOptions } from '../fleet/network.ts'
import { dhtChoice, portChoice } from './options.ts'

/** The values of LISTEN_OPTIONS and DHT_OPTIONS. */
export interface VisitorArguments {
  readonly bind: string
  readonly port?: number | undefined
  readonly dhtPort?: number | undefined
  readonly bootstrap?: readonly string[] | undefined
  readonly public: boolean
}

/**
 * Complete settings: a new identity each time, and, unless it `stays`, in nobody's routing table.
 * @throws {UsageError} for values that cannot be
 */
export function visitorNetwork(
  args: VisitorArguments,
  { stays }: { readonly stays: boolean },
): NetworkOptions {
  return {
    bind: args.bind,
    port: portChoice(args.port, '--port'),
    dhtPort: portChoice(args.dhtPort, '--dht-port'),
    dht: dhtChoice(args.bootstrap, args.public),
    uploadLimit: null,
    maxConns: DEFAULTS.maxConns,
    advertise: [],
    nodeId: randomBytes(20).toString('hex'),
    savedNodes: [],
    readOnly: !stays,
    identity: randomBytes(20).toString('hex'),
  }
}
