/** What `up` knows of its hosts, from their events: the shards seeded, and which of them the DHT has. */
import type { ChildEvent } from '../fleet/child.ts'
import { until } from './context.ts'

/** A shard as a host told of it. */
export interface BoardShard {
  readonly host: string
  readonly file: string
  readonly infoHash: string
  readonly length: number
  /** With the host's own address (x.pe), so that clients on this machine need no DHT to find it. */
  readonly magnet: string
}

/** Collects host events. */
export class Board {
  readonly #address: string
  readonly #ports = new Map<string, number>()
  readonly #shards = new Map<string, BoardShard>()
  readonly #announced = new Set<string>()
  readonly #decided = new Set<string>()

  /** @param address where all hosts of this machine listen */
  constructor(address: string) {
    this.#address = address
  }

  portOf(host: string): number | undefined {
    return this.#ports.get(host)
  }

  /** Seeded shards, by host and file. */
  shards(): readonly BoardShard[] {
    return [...this.#shards.values()].sort(
      (a, b) => a.host.localeCompare(b.host) || a.file.localeCompare(b.file),
    )
  }

  /** Takes one event; gives the line to print for it, if any. */
  hostEvent(host: string, event: ChildEvent): string | null {
    const text = (key: string): string => String(event[key])
    const key = `${host}/${text('file')}`
    switch (event.event) {
      case 'listening':
        this.#ports.set(host, Number(event['port']))
        return null
      case 'seeding': {
        const magnet = `${text('magnet')}&x.pe=${this.#address}:${this.#ports.get(host)}`
        this.#shards.set(key, {
          host,
          file: text('file'),
          infoHash: text('infoHash'),
          length: Number(event['length']),
          magnet,
        })
        this.#decided.add(key)
        return `[UP] ✓ ${host} seeds ${text('file')} (hash: ${text('infoHash')})`
      }
      case 'announced':
        if (this.#announced.has(`${host}/${text('infoHash')}`)) return null
        this.#announced.add(`${host}/${text('infoHash')}`)
        return `[UP] ✓ ${host} registered ${text('infoHash')} at ${text('nodes')} DHT node(s)`
      case 'rejected':
        this.#decided.add(key)
        return `[UP] ✗ ${host} does not seed ${text('file')}: ${text('reason')}`
      case 'waiting':
        this.#decided.add(key)
        return `[UP] ${host} waits for ${text('file')}: ${text('reason')}`
      case 'withdrawn':
        this.#shards.delete(key)
        return `[UP] ${host} withdrew ${text('file')}: ${text('reason')}`
      case 'error':
        return `[UP] ✗ ${host}: ${text('message')}`
      default:
        return null
    }
  }

  /** Resolves when `count` shards are decided and every seeded one is registered, or the signal says so. */
  settled(count: number, signal: AbortSignal): Promise<void> {
    return until(() => {
      const registered = this.shards().every(({ host, infoHash }) =>
        this.#announced.has(`${host}/${infoHash}`),
      )
      return this.#decided.size >= count && registered
    }, signal)
  }
}
