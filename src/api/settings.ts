/** How the options of the library become complete settings, and how the life of what runs is ended. */
import { DEFAULTS, parseAddressOption, parsePortOption } from '../config.ts'
import { UsageError } from '../errors.ts'
import { chooseFleet, type FleetKey } from '../fleet/membership/fleet-key.ts'
import type { DhtChoice, PortChoice } from '../fleet/network.ts'
import type { Running, SwarmOptions } from './options.ts'

/**
 * The DHT that is asked for.
 * @throws {UsageError} `bad-address`, `both-dhts`
 */
export function dhtOf({ bootstrap, public: isPublic = false }: SwarmOptions): DhtChoice {
  const named = typeof bootstrap === 'string' ? [bootstrap] : (bootstrap ?? [])
  if (isPublic && named.length > 0) {
    throw new UsageError(
      'both-dhts',
      'bootstrap joins a private DHT and public the public one; give one of them',
    )
  }
  if (isPublic) return { kind: 'public' }
  const nodes = named.map((text) => parseAddressOption(text, 'bootstrap'))
  return { kind: 'private', bootstrap: nodes.length > 0 ? nodes : [DEFAULTS.bootstrap] }
}

/** The fleet that is asked for; null for none. Throws what {@link chooseFleet} throws. */
export function fleetOf({ fleet, fleetKey }: SwarmOptions, dht: DhtChoice): Promise<FleetKey | null> {
  return chooseFleet({ fleet, fleetKey, dht })
}

/**
 * The ports that are asked for, or any free ones.
 * @throws {UsageError} `bad-port`
 */
export function portsOf({ port, dhtPort }: SwarmOptions): { port: PortChoice; dhtPort: PortChoice } {
  const choice = (value: number | undefined, option: string): PortChoice => ({
    port: value === undefined ? 0 : parsePortOption(value, option),
    required: value !== undefined,
  })
  return { port: choice(port, 'port'), dhtPort: choice(dhtPort, 'dhtPort') }
}

/** A part of the program as the classes below make them. */
interface Stoppable {
  stop(): Promise<void>
}

/**
 * Starts something that `signal` ends, and that ends when it tells of a failure.
 * @throws what `start` throws; the signal's reason when it is aborted before all is up
 */
export async function startUntil<T extends Stoppable>(
  signal: AbortSignal | undefined,
  start: (fail: (error: Error) => void) => Promise<T>,
): Promise<{ readonly started: T; readonly running: Running }> {
  signal?.throwIfAborted()
  const { promise: ended, resolve: end } = Promise.withResolvers<Error | null>()
  const failure = new AbortController()
  const started = await start((error) => failure.abort(error))
  const stop = async (error: Error | null = null): Promise<void> => {
    signal?.removeEventListener('abort', onAbort)
    await started.stop()
    end(error)
  }
  const onAbort = (): void => void stop()
  const onFailure = (): void => void stop(failure.signal.reason)
  if (signal?.aborted === true) {
    await stop()
    throw signal.reason
  }
  signal?.addEventListener('abort', onAbort)
  if (failure.signal.aborted) onFailure()
  else failure.signal.addEventListener('abort', onFailure)
  return { started, running: { ended, stop: () => stop(), [Symbol.asyncDispose]: () => stop() } }
}
