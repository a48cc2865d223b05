/** From options to the place in the swarm of a process that comes and goes, such as a download. */
import type { NetworkOptions } from '../fleet/network.ts'
import { visitorNetwork } from '../fleet/visitor.ts'
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
 * Complete settings.
 * @throws {UsageError} for values that cannot be
 */
export function visitorOf(
  { bind, port, dhtPort, bootstrap, public: isPublic }: VisitorArguments,
  { stays }: { readonly stays: boolean },
): NetworkOptions {
  return visitorNetwork({
    bind,
    port: portChoice(port, '--port'),
    dhtPort: portChoice(dhtPort, '--dht-port'),
    dht: dhtChoice(bootstrap, isPublic),
    stays,
  })
}
