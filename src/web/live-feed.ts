/**
 * The clients of the live feed: takes WebSocket connections that passed the guard, sends each the snapshot and then every
 * patch, and drops those that do not answer, do not keep up, or talk.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws'
import { FeedBook } from './feed.ts'
import type { WebLimits } from './limits.ts'
import type { StatusSource } from './status-source.ts'

/** Close codes of RFC 6455 §7.4.1. */
const GOING_AWAY = 1001
const POLICY_VIOLATION = 1008

/** Why a client was dropped. */
export type DropReason = 'slow' | 'silent' | 'talking'

interface Client {
  readonly socket: WebSocket
  /** What may wait for it: a client that has just come has a whole snapshot before it. */
  readonly maxBufferedBytes: number
  hasAnswered: boolean
}

/** A running feed. Made by {@link LiveFeed.start}. */
export class LiveFeed implements AsyncDisposable {
  readonly #source: StatusSource
  readonly #limits: WebLimits
  readonly #book: FeedBook
  readonly #server: WebSocketServer
  readonly #clients = new Set<Client>()
  readonly #dropped: Record<DropReason, number> = { slow: 0, silent: 0, talking: 0 }
  readonly #timers: readonly NodeJS.Timeout[]
  readonly #unsubscribe: () => void
  #patchTimer: NodeJS.Timeout | undefined
  #nextPatchAt = 0
  #stopping: Promise<void> | undefined

  private constructor(source: StatusSource, limits: WebLimits) {
    this.#source = source
    this.#limits = limits
    this.#book = new FeedBook(source.status, source.events)
    // Its type declarations do not know `closeTimeout` yet.
    const options: ServerOptions & { readonly closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      maxPayload: limits.maxMessageBytes,
      // A snapshot is a megabyte on a local network; compressing for each client would cost more than it saves.
      perMessageDeflate: false,
      autoPong: false,
      closeTimeout: limits.closeTimeoutMs,
    }
    this.#server = new WebSocketServer(options)
    this.#timers = [
      setInterval(() => this.#broadcast(this.#book.tick()), limits.tickIntervalMs),
      setInterval(() => this.#ping(), limits.pingIntervalMs),
    ]
    this.#unsubscribe = source.subscribe(() => this.#schedule())
  }

  static start(source: StatusSource, limits: WebLimits): LiveFeed {
    return new LiveFeed(source, limits)
  }

  get clientCount(): number {
    return this.#clients.size
  }

  get dropped(): Readonly<Record<DropReason, number>> {
    return this.#dropped
  }

  /** True when one more would be too many. */
  get isFull(): boolean {
    return this.#clients.size >= this.#limits.maxFeedClients
  }

  /** Takes a connection over; the caller has checked that it may be here. */
  accept(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, stream, head, (socket) => this.#add(socket))
  }

  /** Says good-bye, waits a moment for theirs, closes; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#unsubscribe()
      clearTimeout(this.#patchTimer)
      for (const timer of this.#timers) clearInterval(timer)
      const { promise: deadline, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, this.#limits.closeTimeoutMs)
      const sockets = [...this.#clients].map(({ socket }) => socket)
      const closed = sockets.map((socket) => new Promise((done) => socket.once('close', done)))
      for (const socket of sockets) socket.close(GOING_AWAY, 'the server stops')
      await Promise.race([Promise.all(closed), deadline])
      clearTimeout(timer)
      for (const socket of sockets) socket.terminate()
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #add(socket: WebSocket): void {
    if (this.#clients.size === 0) this.#book.advance(this.#source.status, this.#source.events)
    const snapshot = this.#book.snapshot()
    const maxBufferedBytes = this.#limits.maxBufferedBytes + snapshot.byteLength
    const client: Client = { socket, maxBufferedBytes, hasAnswered: true }
    socket.on('error', () => undefined) // a broken or malformed connection: `close` follows
    socket.on('close', () => this.#clients.delete(client))
    socket.on('pong', () => {
      client.hasAnswered = true
    })
    socket.on('ping', (data) => {
      // Pongs wait in the same queue as everything else: a flood of pings nobody reads the answers of must not fill it.
      if (this.#keepsUp(client)) socket.pong(data)
    })
    socket.on('message', () => {
      this.#dropped.talking++
      this.#clients.delete(client)
      socket.removeAllListeners('message')
      socket.close(POLICY_VIOLATION, 'this feed takes no messages')
    })
    if (this.#stopping !== undefined) {
      socket.terminate()
      return
    }
    this.#clients.add(client)
    this.#send(client, snapshot)
  }

  /** Waits as long as the last patch was big, then tells everything that changed until then at once. */
  #schedule(): void {
    // With nobody there, nothing is put together; the first to come gets the newest.
    if (this.#patchTimer !== undefined || this.#clients.size === 0) return
    this.#patchTimer = setTimeout(
      () => {
        this.#patchTimer = undefined
        const patch = this.#book.advance(this.#source.status, this.#source.events)
        if (patch === null) return
        this.#nextPatchAt = performance.now() + (patch.byteLength / this.#limits.feedBytesPerSecond) * 1000
        this.#broadcast(patch)
      },
      Math.max(0, this.#nextPatchAt - performance.now()),
    )
  }

  #broadcast(message: Buffer): void {
    for (const client of this.#clients) this.#send(client, message)
  }

  #send(client: Client, message: Buffer): void {
    if (this.#keepsUp(client)) client.socket.send(message, { binary: false })
  }

  #keepsUp(client: Client): boolean {
    if (client.socket.bufferedAmount <= client.maxBufferedBytes) return true
    this.#drop(client, 'slow')
    return false
  }

  #ping(): void {
    for (const client of this.#clients) {
      if (!client.hasAnswered) this.#drop(client, 'silent')
      else if (this.#keepsUp(client)) {
        client.hasAnswered = false
        client.socket.ping()
      }
    }
  }

  #drop(client: Client, reason: DropReason): void {
    if (!this.#clients.delete(client)) return
    this.#dropped[reason]++
    client.socket.terminate()
  }
}
