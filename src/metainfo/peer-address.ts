/** `host:port` as it stands in magnet links (`x.pe`), in `nodes` keys (BEP 5) and on the command line. */
import { isIP } from 'node:net'

/** Where a peer or a DHT node listens; `host` is an IPv4 or IPv6 address (no brackets) or a host name. */
export interface PeerAddress {
  readonly host: string
  readonly port: number
}

/** RFC 1035: a full host name has at most 253 characters and a label at most 63. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*$/i
const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/

/** Reads `1.2.3.4:6881`, `[::1]:6881` or `host.example:6881`; anything else is undefined. */
export function parsePeerAddress(text: string): PeerAddress | undefined {
  const [, bracketed, plain, digits] = HOST_AND_PORT.exec(text) ?? []
  return peerAddress(bracketed ?? plain, Number(digits), bracketed !== undefined)
}

/** The address if both halves are sane; `onlyIPv6` for what stood in brackets. */
export function peerAddress(host: unknown, port: unknown, onlyIPv6 = false): PeerAddress | undefined {
  if (typeof host !== 'string' || typeof port !== 'number') return undefined
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined
  const family = isIP(host)
  if (onlyIPv6 && family !== 6) return undefined
  // A name of digits and dots only that is no address, such as 1.2.3, is a typing error and not a host.
  if (family === 0 && (!HOST_NAME.test(host) || /^[\d.]+$/.test(host))) return undefined
  return { host, port }
}

/** The text form that {@link parsePeerAddress} reads. */
export function formatPeerAddress({ host, port }: PeerAddress): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}
