/**
 * The networks this process speaks with (`--allow`). Everybody else is not heard: a connection is closed before a byte
 * of it is read, an address is not dialled, a datagram is neither read nor sent. Each is counted.
 */
import { BlockList, isIP } from 'node:net'
import { localAddresses, plainAddress } from './address.ts'

/** A network as CIDR writes it; an address by itself is the network of all its bits. */
export interface AddressRange {
  readonly address: string
  readonly prefix: number
}

/** What was refused, each with its own counter. */
export type StrangerKind = 'connections' | 'dials' | 'datagramsReceived' | 'datagramsSent'

/** Reads `10.0.0.0/8`, `fd00::/8` or one address; undefined for anything else. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [, address = '', digits] = /^([\da-f.:]{2,45})(?:\/(\d{1,3}))?$/i.exec(text.trim()) ?? []
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  const prefix = digits === undefined ? bits : Number(digits)
  return bits > 0 && prefix <= bits ? { address, prefix } : undefined
}

/** Decides over addresses. */
export class AllowedPeers {
  /** Node's list of networks, which here allows. */
  readonly #networks = new BlockList()
  readonly #refused: Record<StrangerKind, number> = {
    connections: 0,
    dials: 0,
    datagramsReceived: 0,
    datagramsSent: 0,
  }

  /**
   * This machine is always among them: its bootstrap node may run beside its host, and whoever is on it can read the
   * files anyway.
   */
  constructor(ranges: readonly AddressRange[]) {
    const own = localAddresses().map((address) => ({ address, prefix: 32 }))
    const loopback = [
      { address: '127.0.0.0', prefix: 8 },
      { address: '::1', prefix: 128 },
    ]
    for (const { address, prefix } of [...loopback, ...own, ...ranges]) {
      this.#networks.addSubnet(address, prefix, familyOf(address))
    }
  }

  /** An address, not a name: a name is nobody until it is resolved. */
  allows(host: string): boolean {
    const address = plainAddress(host.replace(/^\[|\]$|%.*$/g, ''))
    return isIP(address) !== 0 && this.#networks.check(address, familyOf(address))
  }

  /** The same, and a refusal is counted. */
  admits(host: string, kind: StrangerKind): boolean {
    const isAllowed = this.allows(host)
    if (!isAllowed) this.#refused[kind]++
    return isAllowed
  }

  /** Since the start. */
  get refused(): Readonly<Record<StrangerKind, number>> {
    return { ...this.#refused }
  }

  get refusedTotal(): number {
    return Object.values(this.#refused).reduce((sum, count) => sum + count, 0)
  }
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
