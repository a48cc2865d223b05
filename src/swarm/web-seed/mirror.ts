/**
 * Reads ranges of one file from a web server: redirects followed a few steps and remembered, every answer checked to
 * be a part of a file of the right length. What it gives is still to be hashed.
 */
import type { Agent, IncomingMessage } from 'node:http'
import { messageOf, systemCode } from '../../errors.ts'
import { guardedLookup, hostProblem, type Reach } from './address-guard.ts'

/** The hub sends to its storage in one step; chains are loops or traps. */
const MAX_REDIRECTS = 5
/** Nothing comes for so long: the connection is as good as dead. */
const IDLE_MS = 10_000
/** A redirect to signed storage is good for minutes; it is asked for anew when it is not. */
const STALE_STATUS = new Set([401, 403, 404, 410])
const BUSY_STATUS = new Set([408, 425, 429])
const USER_AGENT = 'gguf-swarm/0.1'

/** The certificate is what is wrong, or the name on it. */
const CERTIFICATE = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA)/

/** A mirror failed; `isFinal` when asking again would be of no use. */
export class MirrorError extends Error {
  readonly isFinal: boolean
  constructor(message: string, isFinal: boolean, options?: ErrorOptions) {
    super(message, options)
    this.isFinal = isFinal
  }
}

/** Node's HTTP, when a mirror is first asked: it would take a tenth of the time of every start, and few ask one. */
async function openAgents(maxSockets: number) {
  const [http, https] = await Promise.all([import('node:http'), import('node:https')])
  const options = { keepAlive: true, maxSockets }
  return {
    'http:': { request: http.request, agent: new http.Agent(options) as Agent },
    'https:': { request: https.request, agent: new https.Agent(options) as Agent },
  }
}

export class Mirror {
  readonly url: string
  readonly #length: number
  readonly #reach: Reach
  readonly #connections: number
  #agents: ReturnType<typeof openAgents> | null = null
  /** Where redirects have led. */
  #target: { readonly url: URL; readonly reach: Reach } | null = null

  constructor(url: string, { length, reach, connections }: MirrorOptions) {
    this.url = url
    this.#length = length
    this.#reach = reach
    this.#connections = connections
  }

  /**
   * The bytes from `start` to before `end`, in parts as they come; all of them, or it throws.
   * @throws {MirrorError}; the signal's reason
   */
  async *read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    const response = await this.#open(start, end, signal)
    let left = end - start
    try {
      for await (const part of response as AsyncIterable<Buffer>) {
        if (part.length > left) throw new MirrorError('it sends more than was asked for', true)
        left -= part.length
        yield part
      }
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof MirrorError ? error : new MirrorError(messageOf(error), false, { cause: error })
    } finally {
      response.destroy() // of no effect on one that was read to its end
    }
    if (left > 0) throw new MirrorError(`its answer ended ${left} bytes too early`, false)
  }

  close(): void {
    void this.#agents?.then((agents) => {
      for (const { agent } of Object.values(agents)) agent.destroy()
    })
  }

  async #open(start: number, end: number, signal: AbortSignal): Promise<IncomingMessage> {
    const known = this.#target
    const first = known ?? { url: new URL(this.url), reach: this.#reach }
    try {
      const response = await this.#follow(first, start, end, signal)
      if (known === null || !STALE_STATUS.has(response.statusCode ?? 0))
        return this.#checked(response, start, end)
      response.destroy()
    } catch (error) {
      this.#forget(known)
      throw error
    }
    this.#forget(known)
    return this.#open(start, end, signal)
  }

  /** Unless another request has found a newer one meanwhile. */
  #forget(target: { readonly url: URL } | null): void {
    if (this.#target === target) this.#target = null
  }

  async #follow(
    first: { readonly url: URL; readonly reach: Reach },
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    let { url, reach } = first
    for (let step = 0; step <= MAX_REDIRECTS; step++) {
      const response = await this.#ask(url, reach, start, end, signal)
      const { location } = response.headers
      if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || location === undefined) {
        if (step > 0) this.#target = { url, reach }
        return response
      }
      response.destroy()
      const next = URL.canParse(location, url.href) ? new URL(location, url) : null
      if (next === null || !/^https?:$/.test(next.protocol) || next.username || next.password) {
        throw new MirrorError('it redirects to what is no web address', true)
      }
      if (url.protocol === 'https:' && next.protocol === 'http:') {
        throw new MirrorError(`it redirects from https to http (${next.host})`, true)
      }
      if (next.hostname !== url.hostname) reach = 'public'
      url = next
    }
    throw new MirrorError(`it redirects more than ${MAX_REDIRECTS} times`, true)
  }

  async #ask(
    url: URL,
    reach: Reach,
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const problem = hostProblem(reach, url)
    if (problem !== undefined) throw new MirrorError(problem, true)
    this.#agents ??= openAgents(this.#connections)
    const { request, agent } = (await this.#agents)[url.protocol === 'https:' ? 'https:' : 'http:']
    const options = {
      agent,
      signal,
      timeout: IDLE_MS,
      lookup: guardedLookup(reach),
      headers: {
        Range: `bytes=${start}-${end - 1}`,
        'Accept-Encoding': 'identity',
        'User-Agent': USER_AGENT,
      },
    }
    return new Promise((resolve, reject) => {
      const asked = request(url, options, resolve)
      asked.on('timeout', () => asked.destroy(new Error(`nothing came for ${IDLE_MS / 1000} s`)))
      asked.on('error', (error) => reject(signal.aborted ? signal.reason : failureOf(error, url)))
      asked.end()
    })
  }

  /** The answer is the part of the file that was asked for, or none. */
  #checked(response: IncomingMessage, start: number, end: number): IncomingMessage {
    const problem = this.#problemOf(response, start, end)
    if (problem === null) return response
    response.destroy()
    throw problem
  }

  #problemOf({ statusCode = 0, headers }: IncomingMessage, start: number, end: number): MirrorError | null {
    if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity') {
      return new MirrorError(`it packs the file (${headers['content-encoding']})`, true)
    }
    if (statusCode === 206) {
      const [, from, to, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? []
      if (total !== undefined && total !== '*' && Number(total) !== this.#length)
        return this.#otherFile(total)
      if (Number(from) === start && Number(to) === end - 1) return null
      return new MirrorError('it sends another part of the file than was asked for', true)
    }
    if (statusCode === 200) {
      const length = headers['content-length']
      if (length !== undefined && Number(length) !== this.#length) return this.#otherFile(length)
      return start === 0 && end === this.#length
        ? null
        : new MirrorError('it sends whole files only (no Range)', true)
    }
    if (statusCode === 416) return new MirrorError('it has a shorter file of that name', true)
    const isFinal = statusCode < 500 && !BUSY_STATUS.has(statusCode)
    return new MirrorError(`it answers ${statusCode}`, isFinal)
  }

  #otherFile(length: string): MirrorError {
    return new MirrorError(`it has another file there, of ${length} bytes and not ${this.#length}`, true)
  }
}

export interface MirrorOptions {
  /** Of the file. */
  readonly length: number
  readonly reach: Reach
  /** At once. */
  readonly connections: number
}

function failureOf(error: Error, { host, protocol }: URL): MirrorError {
  const code = systemCode(error)
  if (CERTIFICATE.test(code)) {
    return new MirrorError(`the certificate of ${host} is not valid: ${error.message}`, true, {
      cause: error,
    })
  }
  if (code === 'EPROTO') return new MirrorError(`${host} does not speak ${protocol.slice(0, -1)} there`, true)
  const isFinal = code === 'ENOTFOUND' || code === 'ERR_OUT_OF_REACH'
  return new MirrorError(messageOf(error), isFinal, { cause: error })
}
