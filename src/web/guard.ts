/**
 * Who may ask. A page of any web site can make its visitor's browser talk to 127.0.0.1; it cannot choose `Host` and
 * `Origin`, so these two are checked before anything else is done with a request.
 */
import { isIP } from 'node:net'
import { formatPeerAddress } from '../metainfo/peer-address.ts'

/** What is looked at. */
export interface Asked {
  readonly host: string | undefined
  readonly origin: string | undefined
  /** The address the connection came in at, as the socket tells it. */
  readonly localAddress: string | undefined
}

/** Why somebody is turned away; printed as it is. */
export interface Refusal {
  readonly code: 'host-not-allowed' | 'origin-not-allowed' | 'token-required'
  readonly message: string
}

export interface GuardOptions {
  /** The address or name that is listened at. */
  readonly host: string
  /** Names that a proxy or a tunnel uses. */
  readonly allowHosts: readonly string[]
  /** The port of the page, once it is known: 0 until then. */
  readonly pagePort: () => number
}

const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '::1']
const WILDCARDS: readonly string[] = ['0.0.0.0', '::']

/** A name, an address, or an IPv6 address in brackets; then a port or none. */
const AUTHORITY = /^(?:\[([\da-f:.]{2,45})\]|([a-z\d_][a-z\d_.-]{0,252}))(?::(\d{1,5}))?$/i
const ORIGIN = /^https?:\/\/(.{1,300})$/i

/** A checker of requests for one server. */
export type Guard = (asked: Asked) => Refusal | null

export function createGuard({ host, allowHosts, pagePort }: GuardOptions): Guard {
  const names = new Set([...LOOPBACK_NAMES, host, ...allowHosts].map((name) => plainName(name)))
  for (const wildcard of WILDCARDS) names.delete(wildcard)
  // Behind 0.0.0.0 every address of this machine is one we listen at, and the connection tells which it is.
  const isAllowed = (name: string, { localAddress }: Asked): boolean =>
    names.has(name) ||
    (WILDCARDS.includes(host) && localAddress !== undefined && plainName(localAddress) === name)

  return (asked) => {
    const target = readAuthority(asked.host)
    if (target === null || !isAllowed(target.name, asked)) {
      return {
        code: 'host-not-allowed',
        message:
          'This server does not go by the name in the Host header. Open it by its address, or start it with ' +
          '--allow-host NAME for each further name it has.',
      }
    }
    if (asked.origin === undefined) return null
    const source = readAuthority(ORIGIN.exec(asked.origin)?.[1])
    // The same origin; or our page, of the same name, that asks at the live port.
    const isOurs =
      source !== null &&
      source.name === target.name &&
      (source.port === target.port || source.port === pagePort())
    if (isOurs) return null
    return { code: 'origin-not-allowed', message: 'Pages of other sites may not use this server.' }
  }
}

interface Authority {
  readonly name: string
  /** 0 where none is written. */
  readonly port: number
}

function readAuthority(text: string | undefined): Authority | null {
  const [whole, bracketed, plain, port] = AUTHORITY.exec(text ?? '') ?? []
  const name = bracketed ?? plain
  if (whole === undefined || name === undefined) return null
  return { name: plainName(name), port: Number(port ?? 0) }
}

/** As it is compared: lower case, no closing dot, no IPv4-in-IPv6 prefix. */
function plainName(name: string): string {
  const lower = name.toLowerCase()
  if (isIP(lower) !== 0) return lower.startsWith('::ffff:') ? lower.slice('::ffff:'.length) : lower
  return lower.endsWith('.') ? lower.slice(0, -1) : lower
}

/** Can only programs on this machine reach it? */
export function isLoopbackAddress(host: string): boolean {
  return LOOPBACK_NAMES.includes(host.toLowerCase()) || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Headers of every answer: no sniffing, no embedding, no telling where somebody came from. */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}

/**
 * The policy of the page: no inline script or style, no outside request, no frame around it; the live feed is the only
 * other port. `hostHeader` has passed the guard.
 */
export function contentPolicy(hostHeader: string, livePort: number): string {
  const name = readAuthority(hostHeader)?.name ?? '127.0.0.1'
  const live = formatPeerAddress({ host: name, port: livePort })
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    // Older Safari does not count ws: under 'self'.
    `connect-src 'self' ws://${hostHeader} wss://${hostHeader} ws://${live}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
