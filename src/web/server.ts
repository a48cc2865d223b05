/**
 * The coordinator's web server: page, JSON API and metrics on one port, the live feed on `/ws` there and on a port of its
 * own. Every request passes the guard (Host, Origin) before anything is looked up.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { FailedError, messageOf } from '../errors.ts'
import type { FileShelf } from '../fleet/file-shelf.ts'
import type { Log } from '../log.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import { admitConnections } from './admission.ts'
import { errorAnswer, send } from './answer.ts'
import { limitConnections } from './connections.ts'
import { createFileRoutes, type FileRoutes, isFilePath } from './files.ts'
import {
  COMMON_HEADERS,
  contentPolicy,
  createGuard,
  type Guard,
  isLoopbackAddress,
  type Refusal,
} from './guard.ts'
import { closing, httpServer, listen, portOf, reachableHost, refuse } from './http-server.ts'
import type { WebLimits } from './limits.ts'
import { LiveFeed } from './live-feed.ts'
import { loadPageFiles } from './page-files.ts'
import { createRouter, type Router } from './routes.ts'
import type { StatusSource } from './status-source.ts'
import { WebToken } from './token.ts'

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
  /** What requests must bring; needed where others than this machine can connect. */
  readonly token?: string | null
  /** Whose connections are taken (`--allow`); everybody's, when left out. */
  readonly admits?: (address: string) => boolean
  readonly limits: WebLimits
  readonly log: Log
}

/** A running server. Made by {@link WebServer.start}. */
export class WebServer implements AsyncDisposable {
  readonly #options: WebServerOptions
  readonly #guard: Guard
  readonly #route: Router
  readonly #giveFile: FileRoutes | null
  readonly #feed: LiveFeed
  readonly #page: Server
  readonly #live: Server
  readonly #token: WebToken | null
  readonly #refused: Record<string, number> = {}
  #stopping: Promise<void> | undefined

  private constructor(options: WebServerOptions, files: Parameters<typeof createRouter>[0]['files']) {
    const { source, limits, host, allowHosts, log, token = null } = options
    this.#options = options
    this.#token = token === null ? null : new WebToken(token)
    this.#guard = createGuard({ host, allowHosts, pagePort: () => this.port })
    this.#feed = LiveFeed.start(source, limits)
    const counters = () => ({
      feedClients: this.#feed.clientCount,
      feedDropped: this.#feed.dropped,
      refused: this.#refused,
    })
    this.#route = createRouter({ source, files, counters })
    this.#giveFile = options.files ? createFileRoutes(options.files, log) : null
    this.#page = httpServer(limits, (request, response) => this.#answer(request, response))
    this.#live = httpServer(limits, (request, response) => this.#sayLiveOnly(request, response))
    const onRefused = (reason: string): void => this.#count(reason)
    admitConnections([this.#page, this.#live], {
      admits: options.admits,
      perAddress: limits.maxConnectionsPerAddress,
      onRefused,
    })
    for (const server of [this.#page, this.#live]) {
      const { maxConnections, slowAnswerMs } = limits
      limitConnections(server, { maxConnections, slowAnswerMs, onRefused })
    }
    this.#page.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head, '/ws'))
    this.#live.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head, null))
  }

  /**
   * Opens both ports.
   * @throws {FailedError} `port-in-use`, `cannot-listen`, `no-page` or `no-token`
   */
  static async start(options: WebServerOptions): Promise<WebServer> {
    if (!isLoopbackAddress(options.host) && (options.token ?? null) === null) {
      const message = `${options.host} can be reached by others than this machine: a token is needed`
      throw new FailedError('no-token', message)
    }
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
    // Web seed clients bring no token. Whoever may connect may fetch these by BitTorrent, too.
    if (!(this.#giveFile && isFilePath(path)) && !this.#authorize(request, response)) return
    try {
      if (this.#giveFile?.(request, response, path, this.#headers(request))) return
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
    if (!this.#admit(request, response) || !this.#authorize(request, response)) return
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

  /** True for a request that brings the token, or needs none; everything else has been answered. */
  #authorize(request: IncomingMessage, response: ServerResponse): boolean {
    const path = pathOf(request)
    // Whoever restarts a server that does not answer need not know who uses it.
    if (this.#token === null || path === HEALTH_PATH) return true
    const offered = path === '/' ? tokenInLink(request) : null
    if (offered !== null && this.#token.matches(offered)) {
      const headers = { ...COMMON_HEADERS, 'Cache-Control': 'no-store', 'Content-Length': '0' }
      // On to the page without it: the token stays in no history, and goes to no other program.
      response.writeHead(303, { ...headers, Location: '/', 'Set-Cookie': this.#token.setCookie(this.port) })
      response.end()
      return false
    }
    if (offered === null && this.#token.admits(request.headers, this.port)) return true
    this.#count(TOKEN_REQUIRED.code)
    const headers = { 'WWW-Authenticate': 'Bearer', ...CLOSE }
    send(request, response, errorAnswer(401, TOKEN_REQUIRED, headers), this.#headers(request))
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
    if (this.#token?.admits(request.headers, this.port) === false) {
      return { ...TOKEN_REQUIRED, status: '401 Unauthorized' }
    }
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

const HEALTH_PATH = '/healthz'

const TOKEN_REQUIRED: Refusal = {
  code: 'token-required',
  message:
    'This server asks for its token: open the link it printed when it was started (/?token=…), or send the header ' +
    'Authorization: Bearer TOKEN. The token is in its token file.',
}

const CLOSE: Readonly<Record<string, string>> = { Connection: 'close' }

interface UpgradeRefusal {
  readonly code: string
  readonly status: string
  readonly message: string
}

/** As it was sent, without the query: paths are looked up, not decoded. */
const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?', 1)[0] ?? ''

/** The token of a link that was opened; null where there is none. */
const tokenInLink = ({ url = '' }: IncomingMessage): string | null =>
  new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('token')

const askedBy = ({ headers, socket }: IncomingMessage) => ({
  host: headers.host,
  origin: headers.origin,
  localAddress: socket.localAddress,
})
