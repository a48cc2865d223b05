/** What `up` knows of its hosts, from their events: which host seeds which shard, and what the DHT has of it. */
import type { ChildEvent } from '../fleet/child.ts'
import type { HostLog } from '../fleet/verify/log-lines.ts'

/** Events kept of a host: what ten thousand shards tell when they are found. */
const MAX_LOG_LINES = 40_000

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
  readonly #logs = new Map<string, string[]>()

  /** @param address where all hosts of this machine listen */
  constructor(address: string) {
    this.#address = address
  }

  portOf(host: string): number | undefined {
    return this.#ports.get(host)
  }

  /** Each shard that is seeded, once, by file; its host is the first that told of it. */
  shards(): readonly BoardShard[] {
    const first = new Map<string, BoardShard>()
    for (const shard of this.#shards.values()) {
      if (!first.has(shard.infoHash)) first.set(shard.infoHash, shard)
    }
    return [...first.values()].sort((a, b) => a.file.localeCompare(b.file))
  }

  /** Whole copies over all hosts that the DHT knows of. */
  get copies(): number {
    const registered = [...this.#shards.values()].filter(({ host, infoHash }) =>
      this.#announced.has(`${host}/${infoHash}`),
    )
    return registered.length
  }

  /** Files that some host has decided about: seeded, refused, or waited for. */
  get decided(): number {
    return new Set([...this.#decided].map((key) => key.slice(key.indexOf('/')))).size
  }

  /** What each host has told so far, for those who count it. */
  get logs(): readonly HostLog[] {
    return [...this.#logs].map(([name, lines]) => ({ name, lines }))
  }

  /** Takes one event; gives the line to print for it, if any. */
  hostEvent(host: string, event: ChildEvent): string | null {
    const text = (key: string): string => String(event[key])
    const key = `${host}/${text('file')}`
    this.#record(host, event)
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
      case 'replicating':
        return `[UP] ${host} fetches ${text('name')} from the fleet`
      case 'withdrawn':
        this.#shards.delete(key)
        return `[UP] ${host} withdrew ${text('file')}: ${text('reason')}`
      case 'error':
        return `[UP] ✗ ${host}: ${text('message')}`
      default:
        return null
    }
  }

  #record(host: string, event: ChildEvent): void {
    const lines = this.#logs.get(host) ?? []
    this.#logs.set(host, lines)
    lines.push(JSON.stringify(event))
    if (lines.length > MAX_LOG_LINES) lines.splice(0, lines.length - MAX_LOG_LINES)
  }
}
