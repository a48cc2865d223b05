/** Addresses as sockets report and need them. */
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { PeerAddress } from '../metainfo/peer-address.ts'

/** Strips the IPv4-in-IPv6 prefix that dual-stack sockets report. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

/**
 * The address with its name resolved to IPv4: the DHT of BEP 5 is IPv4 only, and answers are matched by
 * the address they come from. Throws what the resolver throws.
 */
export async function resolveAddress({ host, port }: PeerAddress): Promise<PeerAddress> {
  if (isIPv4(host)) return { host, port }
  const { address } = await lookup(host, { family: 4 })
  return { host: address, port }
}

/**
 * Which of this machine's addresses packets to `target` leave from; undefined when there is no route.
 * Connecting a UDP socket only asks the routing table: nothing is sent.
 */
export async function addressTowards(target: PeerAddress): Promise<string | undefined> {
  const socket = createSocket('udp4')
  try {
    const { host, port } = await resolveAddress(target)
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.connect(port, host, resolve)
    })
    const { address } = socket.address()
    return address === '0.0.0.0' ? undefined : address // what is said where there is no route
  } catch {
    return undefined // no such name or no route: the caller does without
  } finally {
    socket.close()
  }
}

/** An address that belongs to nobody (RFC 5737): only the way to it is of interest. */
const ANYWHERE: PeerAddress = { host: '198.51.100.1', port: 9 }

/** The address on the way out of this machine; undefined while there is no way. */
export function outwardAddress(): Promise<string | undefined> {
  return addressTowards(ANYWHERE)
}

/**
 * The address that others most likely reach a socket at that is bound to `bind`. For 0.0.0.0 it is the one on
 * the way out of this machine: the first interface of all could as well be that of a container bridge.
 */
export async function addressOf(bind: string): Promise<string> {
  if (bind !== '0.0.0.0') return bind
  return (await outwardAddress()) ?? localAddresses()[0] ?? '127.0.0.1'
}

/** Is it an address that means another machine to whoever hears of it (127.0.0.0/8)? */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.startsWith('127.')
}

/** Does the address belong to this machine? All of them lead to one process that listens on every one. */
export function isOwnAddress(host: string): boolean {
  return isLoopback(host) || localAddresses().includes(host)
}

/** This machine's own IPv4 addresses, loopback left out. */
export function localAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map(({ address }) => address),
  )
}
