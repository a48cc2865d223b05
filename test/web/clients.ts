/** Clients of the web server: HTTP with any header, raw sockets, and a WebSocket that keeps a copy of the fleet. */
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import type { FleetEvent, FleetStatus } from '../../src/fleet/status.ts'
import type {
  CompactStatus,
  FeedMessage,
  HostRow,
  PatchMessage,
  ShardRow,
  SnapshotMessage,
} from '../../src/web/feed.ts'
import { afterTest } from '../helpers/after-test.ts'
import { until } from '../helpers/until.ts'

export interface Fetched {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface AskOptions {
  readonly port: number
  readonly host?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Asks for exactly this path: nothing is normalised on the way. */
export function ask(path: string, { port, host = '127.0.0.1', method = 'GET', headers = {} }: AskOptions) {
  return new Promise<Fetched>((resolve, reject) => {
    const sent = request({ host, port, path, method, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** A bare connection and all that comes back over it. */
export function rawSocket(
  t: TestContext,
  port: number,
  first: string,
): { socket: Socket; read: () => string } {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (data: string) => {
    text += data
  })
  socket.on('error', () => {}) // an end by reset is one of the ends that tests wait for
  socket.write(first)
  afterTest(t, () => socket.destroy())
  return { socket, read: () => text }
}

/** How a WebSocket attempt ended: open, or the status of the refusal. */
export function openStatus(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers })
    socket.on('open', () => {
      resolve(101)
      socket.terminate()
    })
    socket.on('unexpected-response', (_, response) => {
      resolve(response.statusCode ?? 0)
      response.resume()
    })
    socket.on('error', reject)
  })
}

/** What a page does: keeps a copy of the fleet up to date from the feed. */
export class FeedClient {
  readonly socket: WebSocket
  readonly messages: FeedMessage[] = []
  readonly sizes: number[] = []
  closed: number | null = null
  #status: Omit<CompactStatus, 'hosts' | 'models' | 'shards'> | undefined
  readonly #hosts = new Map<string, HostRow>()
  readonly #models = new Map<string, FleetStatus['models'][number]>()
  readonly #shards = new Map<string, ShardRow>()
  events: readonly FleetEvent[] = []
  seq = -1

  constructor(t: TestContext, url: string, headers: Readonly<Record<string, string>> = {}) {
    this.socket = new WebSocket(url, { headers })
    this.socket.on('message', (data, isBinary) => {
      if (isBinary) throw new Error('a binary frame')
      const text = String(data)
      this.sizes.push(text.length)
      this.#take(JSON.parse(text) as FeedMessage)
    })
    this.socket.on('close', (code) => {
      this.closed = code
    })
    this.socket.on('error', () => {}) // `close` follows
    afterTest(t, () => this.socket.terminate())
  }

  /** Resolves when the snapshot is there. */
  async ready(): Promise<this> {
    await until(() => this.seq >= 0, { timeoutMs: 30_000, what: 'a snapshot' })
    return this
  }

  /** The copy as the API would show it, times left out. */
  get status(): Omit<FleetStatus, 'time'> {
    if (this.#status === undefined) throw new Error('no snapshot yet')
    const { time: _, ...rest } = this.#status
    const hosts = [...this.#hosts.values()]
    const idOf = new Map(hosts.map(({ n, hostId }) => [n, hostId]))
    const nameOf = (n: number): string => {
      const hostId = idOf.get(n)
      if (hostId === undefined) throw new Error(`host number ${n} is unknown`)
      return hostId
    }
    return {
      ...rest,
      hosts: hosts.map(({ n: _n, ...host }) => host),
      models: [...this.#models.values()],
      shards: [...this.#shards.values()].map(({ whole, fetching, ...shard }) => ({
        ...shard,
        copies: [
          ...whole.map((n) => ({
            hostId: nameOf(n),
            state: 'seeding' as const,
            verifiedBytes: shard.length,
          })),
          ...fetching.map(([n, verifiedBytes]) => ({
            hostId: nameOf(n),
            state: 'fetching' as const,
            verifiedBytes,
          })),
        ],
      })),
    }
  }

  #take(message: FeedMessage): void {
    this.messages.push(message)
    if (message.type === 'snapshot') this.#begin(message)
    else if (message.seq !== this.seq + (message.type === 'patch' ? 1 : 0)) throw new Error('a gap in seq')
    else if (message.type === 'patch') this.#apply(message)
    this.seq = message.seq
  }

  #begin({ status, events }: SnapshotMessage): void {
    if (this.seq !== -1) throw new Error('a second snapshot')
    const { hosts, models, shards, ...rest } = status
    this.#status = rest
    for (const host of hosts) this.#hosts.set(host.hostId, host)
    for (const model of models) this.#models.set(model.name, model)
    for (const shard of shards) this.#shards.set(shard.infoHash, shard)
    this.events = events
  }

  #apply({ type: _type, seq: _seq, hosts, models, shards, events = [], ...rest }: PatchMessage): void {
    this.#status = { ...this.#status!, ...rest }
    for (const host of hosts?.put ?? []) this.#hosts.set(host.hostId, host)
    for (const model of models?.put ?? []) this.#models.set(model.name, model)
    for (const shard of shards?.put ?? []) this.#shards.set(shard.infoHash, shard)
    for (const hostId of hosts?.drop ?? []) this.#hosts.delete(hostId)
    for (const name of models?.drop ?? []) this.#models.delete(name)
    for (const infoHash of shards?.drop ?? []) this.#shards.delete(infoHash)
    this.events = [...this.events, ...events].slice(-500)
  }
}

/** Sorted by what each row is known by, copies by host, so that two statuses can be compared. */
export function sorted({
  time: _,
  ...status
}: FleetStatus | (Omit<FleetStatus, 'time'> & { time?: string })) {
  const by = <Row>(rows: readonly Row[], key: (row: Row) => string): readonly Row[] =>
    [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1))
  return {
    ...status,
    hosts: by(status.hosts, ({ hostId }) => hostId),
    models: by(status.models, ({ name }) => name),
    shards: by(status.shards, ({ infoHash }) => infoHash).map((shard) => ({
      ...shard,
      copies: by(shard.copies, ({ hostId }) => hostId),
    })),
  }
}
