/** An answer to a GET as data, and how it is written to a response. */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: Buffer
  /** For what a browser may keep and ask about: page files. */
  readonly etag?: string
  readonly headers?: Readonly<Record<string, string>>
}

export const JSON_TYPE = 'application/json; charset=utf-8'

export function jsonAnswer(value: unknown, status = 200): Answer {
  return { status, type: JSON_TYPE, body: Buffer.from(JSON.stringify(value)) }
}

/** What every refusal looks like; `message` says what to do. */
export interface ErrorBody {
  readonly code: string
  readonly message: string
}

export function errorAnswer(
  status: number,
  error: ErrorBody,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { ...jsonAnswer({ code: error.code, message: error.message }, status), headers }
}

/** A file that does not change while the server runs. */
export function fileAnswer(type: string, body: Buffer): Answer {
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22)
  return { status: 200, type, body, etag: `"${hash}"` }
}

/** Writes it, without the body for a HEAD and for what the browser has already. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  headers: Readonly<Record<string, string>>,
): void {
  const { etag, body } = answer
  const isKnown = etag !== undefined && request.headers['if-none-match'] === etag
  response.writeHead(isKnown ? 304 : answer.status, {
    ...headers,
    // Asked again each time, so that a page is never older than its server; what lives is never kept.
    'Cache-Control': etag === undefined ? 'no-store' : 'no-cache',
    ...(etag !== undefined && { ETag: etag }),
    ...(!isKnown && { 'Content-Type': answer.type, 'Content-Length': String(body.byteLength) }),
    ...answer.headers,
  })
  response.end(isKnown || request.method === 'HEAD' ? undefined : body)
}
