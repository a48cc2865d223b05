/** The last things that happened in a fleet, numbered, for the page and the API. */
import { printable } from '../../log.ts'
import type { FleetEvent } from '../status.ts'

/** Two screens full for people; who wants all of them listens to the feed. */
const MAX_EVENTS = 500

export class EventLog {
  #events: readonly FleetEvent[] = []
  #nextId = 1

  /** Oldest first. */
  get events(): readonly FleetEvent[] {
    return this.#events
  }

  add(kind: FleetEvent['kind'], message: string, about: Pick<FleetEvent, 'hostId' | 'infoHash'> = {}): void {
    const event = {
      id: this.#nextId++,
      time: new Date().toISOString(),
      kind,
      message: printable(message),
      ...about,
    }
    this.#events = [...this.#events.slice(1 - MAX_EVENTS), event]
  }
}
