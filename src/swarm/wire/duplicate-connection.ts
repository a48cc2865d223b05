/**
 * Two programs that dial each other are connected twice, and the engine keeps both connections: all is told twice, and a
 * download has two slow peers where there is a fast one. Both ends give up the same one: of two made at the same time,
 * as in a fleet, the one made by the program with the smaller id stays.
 */
import type Wire from 'bittorrent-protocol'
import { plainAddress } from '../address.ts'

/** Peer ids of this engine (`-WW`), in hex. Other clients choose by rules of their own, and both connections would go. */
const ENGINE_ID = Buffer.from('-WW').toString('hex')

/**
 * Who is connected does not dial: when a connection is so much younger than another, its maker has lost the other one,
 * of which this end may not know yet.
 */
const SAME_TIME_MS = 5_000

const metAt = new WeakMap<Wire, number>()

/** Which of two connections to one program goes now that `wire` is there; null while there is only one. */
export function duplicateConnection(wire: Wire, wires: readonly Wire[], ownId: string): Wire | null {
  const { peerId, remoteAddress } = wire
  const now = performance.now()
  metAt.set(wire, now)
  if (!peerId.startsWith(ENGINE_ID)) return null
  // From another address it may be anybody who has heard the id.
  const other = wires.find(
    (one) =>
      one !== wire &&
      one.peerId === peerId &&
      one.remoteAddress === remoteAddress &&
      isOutgoing(one) !== isOutgoing(wire),
  )
  if (other === undefined) return null
  if (now - (metAt.get(other) ?? now) > SAME_TIME_MS) return other
  return isOutgoing(wire) === ownId < peerId ? other : wire
}

/** Is there a connection to the program that listens at this address, whoever made it? */
export function isConnected(address: string, wires: readonly Wire[]): boolean {
  return wires.some(({ remoteAddress, peerExtendedHandshake }) => {
    const port = peerExtendedHandshake['p']
    return remoteAddress !== undefined && `${plainAddress(remoteAddress)}:${port}` === address
  })
}

const isOutgoing = ({ type }: Wire): boolean => type.includes('Outgoing')
