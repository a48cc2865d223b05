/**
 * What the web server shows: whoever holds the fleet's snapshot, the events, and says when they changed. The
 * coordinator is one.
 */
import type { Defences } from '../fleet/defences.ts'
import type { FleetEvent, FleetStatus } from '../fleet/status.ts'

/** A view of a fleet that changes. */
export interface StatusSource {
  /** Immutable; unchanged hosts, models and shards keep their reference from one snapshot to the next. */
  readonly status: FleetStatus
  /** The last ones, oldest first. */
  readonly events: readonly FleetEvent[]
  /** What the process that looks has kept out; left out by one that has no ports. */
  readonly defences?: Defences
  /** `listener` is called after something changed. Returns the function that ends it. */
  subscribe(listener: () => void): () => void
}
