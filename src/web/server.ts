/**
 * The coordinator's web server: page, JSON API and metrics on one port, the live feed on `/ws` there and on a port of its
 * own. Every request passes the guard (Host, Origin) before anything is looked up.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { FailedError, messageOf, systemCode } from '../errors.ts'
import type { FileShelf } from '../fleet/file-shelf.ts'
import type { Log } from '../log.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import { errorAnswer, send } from './answer.ts'
import { createFileRoutes, type FileRoutes } from './files.ts'
import { COMMON_HEADERS, contentPolicy, createGuard, type Guard, isLoopbackAddress } from './guard.ts'
import type { WebLimits } from './limits.ts'
import { LiveFeed } from './live-feed.ts'
import { loadPageFiles } from './page-files.ts'
import { createRouter, type Router } from './routes.ts'
import type { StatusSource } from './status-source.ts'

/** Complete settings. */
export interface WebServerOptions {
  readonly source: StatusSource
  /** The shards to hand out as files; none without it. */
  readonly files?: FileShelf | null
  /** Address or name to listen on. */
  readonly host: string
  /** Ports (TCP); 0 picks a free one. */
  readonly port: number
  readonly livePort: number
  /** Further names it may be asked by. */
  readonly allowHosts: readonly string[]
  readonly limits: WebLimits
  readonly log: Log
}

/** A running server. Made by {@link WebServer.start}. */
export class WebServer implements AsyncDisposable {
  readonly #options: WebServerOptions
  readonly #guard: Guard
  readonly #route: Router
  readonly #giveFile: FileRoutes
  readonly #feed: LiveFeed
  readonly #page: Server
  readonly #live: Server
  readonly #refused: Record<string, number> = {}
  #stopping: Promise<void> | undefined

  private constructor(options: WebServerOptions, files: Parameters<typeof createRouter>[0]['files']) {
    const { source, limits, host, allowHosts, log } = options
    this.#options = options
    this.#guard = createGuard({ host, allowHosts, pagePort: () => this.port })
    this.#feed = LiveFeed.start(source, limits)
    const counters = () => ({
      feedClients: this.#feed.clientCount,
      feedDropped: this.#feed.dropped,
      refused: this.#refused,
    })
    this.#route = createRouter({ source, files, counters })
    this.#giveFile = options.files ? createFileRoutes(options.files, log) : () => false
    this.#page = httpServer(limits, (request, response) => this.#answer(request, response))
    this.#live = httpServer(limits, (request, response) => this.#sayLiveOnly(request, response))
    this.#page.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head, '/ws'))
    this.#live.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head, null))
  }

  /**
   * Opens both ports.
   * @throws {FailedError} `port-in-use`, `cannot-listen` or `no-page`
   */
  static async start(options: WebServerOptions): Promise<WebServer> {
    const server = new WebServer(options, await loadPageFiles())
    try {
      await listen(server.#page, options.host, options.port, '--http-port')
      await listen(server.#live, options.host, options.livePort, '--live-port')
      for (const http of [server.#page, server.#live]) {
        // Such as no descriptor left for one more connection: the others go on.
        http.on('error', (error) => options.log.warn(`[WEB] ${messageOf(error)}`))
      }
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  get port(): number {
    return portOf(this.#page)
  }

  get livePort(): number {
    return portOf(this.#live)
  }

  /** Where to open the page. */
  get url(): string {
    return `http://${formatPeerAddress({ host: reachableHost(this.#options.host), port: this.port })}`
  }

  /** The live feed on its own port. */
  get liveUrl(): string {
    return `ws://${formatPeerAddress({ host: reachableHost(this.#options.host), port: this.livePort })}`
  }

  /** True when other machines can reach it. */
  get isOpen(): boolean {
    return !isLoopbackAddress(this.#options.host)
  }

  /** Closes the feed, the ports and every connection; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      const closed = [this.#page, this.#live].map((server) => closing(server))
      await this.#feed.stop()
      for (const server of [this.#page, this.#live]) server.closeAllConnections()
      await Promise.all(closed)
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#admit(request, response)) return
    const path = pathOf(request)
    try {
      if (this.#giveFile(request, response, path, this.#headers(request))) return
      const answer = this.#route(path)
      const nothing = {
        code: 'not-found',
        message: 'Nothing is here; /api/openapi.json lists what there is.',
      }
      send(request, response, answer ?? errorAnswer(404, nothing), this.#headers(request))
    } catch (error) {
      this.#options.log.warn(`[WEB] ${path}: ${error instanceof Error ? error.stack : String(error)}`)
      if (response.headersSent) return void response.destroy()
      const broken = {
        code: 'bug',
        message: 'This answer could not be put together; the log of the server says why.',
      }
      send(request, response, errorAnswer(500, broken), this.#headers(request))
    }
  }

  /** On the live port everything that is no WebSocket. */
  #sayLiveOnly(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#admit(request, response)) return
    const error = {
      code: 'websocket-only',
      message: `This port is the live feed, a WebSocket. The page is on port ${this.port}.`,
    }
    send(
      request,
      response,
      errorAnswer(426, error, { Upgrade: 'websocket', Connection: 'Upgrade' }),
      this.#headers(request),
    )
  }

  /** True for a GET or HEAD that passed the guard; everything else has been answered. */
  #admit(request: IncomingMessage, response: ServerResponse): boolean {
    const refusal = this.#guard(askedBy(request))
    if (refusal !== null) {
      this.#count(refusal.code)
      send(request, response, errorAnswer(403, refusal, CLOSE), COMMON_HEADERS)
      return false
    }
    if (request.method === 'GET' || request.method === 'HEAD') return true
    this.#count('method-not-allowed')
    const error = { code: 'method-not-allowed', message: 'Everything here is read with GET.' }
    send(request, response, errorAnswer(405, error, { Allow: 'GET, HEAD', ...CLOSE }), this.#headers(request))
    return false
  }

  /** Nothing is awaited before the checks: a connection is either taken or refused at once. */
  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer, path: string | null): void {
    stream.on('error', () => stream.destroy())
    const refusal = this.#upgradeRefusal(request, path)
    if (refusal === null) {
      this.#feed.accept(request, stream, head)
      return
    }
    this.#count(refusal.code)
    refuse(stream, refusal.status, refusal.message)
  }

  #upgradeRefusal(request: IncomingMessage, path: string | null): UpgradeRefusal | null {
    const refusal = this.#guard(askedBy(request))
    if (refusal !== null) return { ...refusal, status: '403 Forbidden' }
    if (request.method !== 'GET' || request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return {
        code: 'no-websocket',
        status: '400 Bad Request',
        message: 'Only a WebSocket can be opened here.',
      }
    }
    if (path !== null && pathOf(request) !== path) {
      return { code: 'not-found', status: '404 Not Found', message: `The live feed is at ${path}.` }
    }
    if (!this.#feed.isFull) return null
    const message = 'Too many are watching; try again later.'
    return { code: 'feed-full', status: '503 Service Unavailable', message }
  }

  #headers(request: IncomingMessage): Readonly<Record<string, string>> {
    const policy = contentPolicy(request.headers.host ?? '', this.livePort)
    return { ...COMMON_HEADERS, 'Content-Security-Policy': policy }
  }

  #count(reason: string): void {
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1
  }
}

const CLOSE: Readonly<Record<string, string>> = { Connection: 'close' }

interface UpgradeRefusal {
  readonly code: string
  readonly status: string
  readonly message: string
}

/** As it was sent, without the query: paths are looked up, not decoded. */
const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?', 1)[0] ?? ''

const askedBy = ({ headers, socket }: IncomingMessage) => ({
  host: headers.host,
  origin: headers.origin,
  localAddress: socket.localAddress,
})

function httpServer(
  limits: WebLimits,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.checkIntervalMs,
    },
    onRequest,
  )
  server.maxConnections = limits.maxConnections
  server.timeout = limits.idleTimeoutMs // ws takes it off the connections it gets
  return server
}

function refuse(stream: Duplex, status: string, message: string): void {
  stream.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `X-Content-Type-Options: nosniff\r\nContent-Length: ${Buffer.byteLength(message)}\r\n\r\n${message}`,
    () => stream.destroy(),
  )
}

function closing(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

async function listen(server: Server, host: string, port: number, option: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ port, host }, resolve)
  try {
    await promise
  } catch (error) {
    const address = formatPeerAddress({ host, port })
    if (systemCode(error) === 'EADDRINUSE') {
      throw new FailedError(
        'port-in-use',
        `TCP port ${port} on ${host} is in use by another program; choose another with ${option} or stop that program`,
        { cause: error },
      )
    }
    throw new FailedError('cannot-listen', `cannot listen on TCP ${address}: ${messageOf(error)}`, {
      cause: error,
    })
  } finally {
    server.off('error', reject)
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo | null)?.port ?? 0
}

/** An address to open in a browser here: a wildcard is none. */
const reachableHost = (host: string): string =>
  host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
