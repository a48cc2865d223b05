/** `createCoordinator`: a look at a fleet from this process. */
import { DEFAULTS, parseReplicasOption } from '../config.ts'
import { Coordinator } from '../fleet/coordinator.ts'
import { requireFleet } from '../fleet/membership/fleet-member.ts'
import type { FleetEvent, FleetStatus } from '../fleet/status.ts'
import type { Running, SwarmOptions } from './options.ts'
import { dhtOf, fleetOf, portsOf, startUntil } from './settings.ts'

/** Settings of a coordinator; every one has a default. */
export interface CreateCoordinatorOptions extends SwarmOptions {
  /** Whole copies every shard should have, fewer raise an alarm; 2 unless told. */
  readonly replicas?: number | undefined
}

/** A coordinator that is part of its fleet. */
export interface RunningCoordinator extends Running {
  /** What is known now; one immutable snapshot. */
  readonly status: FleetStatus
  /** The last events, oldest first. */
  readonly events: readonly FleetEvent[]
  /** Tells of changes, at most four times a second. Gives the function that ends it. */
  subscribe(listener: (status: FleetStatus) => void): () => void
}

/**
 * Joins a fleet to look at it. It resolves when the ports are open; hosts show up as they are found.
 * @throws {SwarmError} `port-in-use`, `no-fleet`, and for options that cannot be; the signal's reason
 */
export async function createCoordinator(options: CreateCoordinatorOptions = {}): Promise<RunningCoordinator> {
  const wantedReplicas = parseReplicasOption(options.replicas ?? DEFAULTS.replicas, 'replicas')
  const dht = dhtOf(options)
  const key = requireFleet(await fleetOf(options, dht))
  const { started, running } = await startUntil(options.signal, (onFailed) =>
    Coordinator.start({
      bind: options.bind ?? DEFAULTS.bind,
      ...portsOf(options),
      dht,
      key,
      wantedReplicas,
      watchesSwarms: true,
      onFailed,
    }),
  )
  return {
    ...running,
    get status() {
      return started.status
    },
    get events() {
      return started.events
    },
    subscribe: (listener) => started.subscribe(listener),
  }
}
