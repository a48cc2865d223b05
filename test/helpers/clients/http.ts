/** HTTP to a server that listens on the loopback of a network namespace. */
import { type IncomingHttpHeaders, request } from 'node:http'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Host } from '../netns.ts'
import { startProcess } from '../process.ts'
import { CLIENT_START_TIMEOUT_MS } from './client.ts'

const RELAY = fileURLToPath(new URL('relay.ts', import.meta.url))

/** A control interface that takes longer than this has hung. */
const REQUEST_TIMEOUT_MS = 10_000

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** Sends one request; a body makes it a POST. */
export type Http = (
  path: string,
  options?: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Uint8Array },
) => Promise<HttpAnswer>

/** Opens a way to `127.0.0.1:port` of `host`; its socket lies in `folder`. */
export async function httpInside(t: TestContext, host: Host, port: number, folder: string): Promise<Http> {
  const socketPath = join(folder, 'http.sock')
  const relay = startProcess(t, process.execPath, [RELAY, socketPath, String(port)], { netns: host.netns })
  await relay.waitForEvent('listening', { timeoutMs: CLIENT_START_TIMEOUT_MS })

  return (path, { headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath,
        path,
        method: body === undefined ? 'GET' : 'POST',
        headers: { host: `127.0.0.1:${port}`, ...headers },
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      })
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) => {
        let text = ''
        incoming.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }),
        )
      })
      outgoing.end(body)
    })
}
