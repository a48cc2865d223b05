/** Node's HTTP server with our limits, and its ways to begin and to end. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { FailedError, messageOf, systemCode } from '../errors.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import type { WebLimits } from './limits.ts'

export function httpServer(
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
      // Other offers, such as HTTP/2, are not taken, and the request is answered as it is (RFC 9110, section 7.8). A Node
      // that is older than 24.9 does not know this, and such a request is refused.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
    },
    onRequest,
  )
  server.timeout = limits.idleTimeoutMs // ws takes it off the connections it gets
  return server
}

/** Ends an upgrade that was not granted. */
export function refuse(stream: Duplex, status: string, message: string): void {
  stream.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `X-Content-Type-Options: nosniff\r\nContent-Length: ${Buffer.byteLength(message)}\r\n\r\n${message}`,
    () => stream.destroy(),
  )
}

/** Resolves when it is closed; takes no more connections from now on. */
export function closing(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

/** @throws {FailedError} `port-in-use` or `cannot-listen`; `option` chooses another port */
export async function listen(server: Server, host: string, port: number, option: string): Promise<void> {
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

export function portOf(server: Server): number {
  return (server.address() as AddressInfo | null)?.port ?? 0
}

/** An address to open in a browser here: a wildcard is none. */
export const reachableHost = (host: string): string =>
  host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
