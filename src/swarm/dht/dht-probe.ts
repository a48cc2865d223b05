/**
 * One question to one DHT node (BEP 5), from a socket and a node id that were never used before: no routing
 * table, no cache and no node of ours can answer in its place.
 */
import { randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { scanDictionary } from '../../metainfo/bencode-scan.ts'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import { resolveAddress } from '../address.ts'

/** A datagram may be lost; three in a row are not lost on a network that works. */
const TRIES = 3
const ANSWER_MS = 1_500
const ID_BYTES = 20
/** BEP 5: id, IPv4 address, port. */
const COMPACT_NODE_BYTES = 26

/** What a node answered. */
export interface DhtAnswer {
  /** 40 hex digits. */
  readonly nodeId: string
  /** Nodes it named, nearest to the question's target. */
  readonly nodes: readonly { readonly nodeId: string; readonly address: PeerAddress }[]
  readonly roundTripMs: number
}

/**
 * Asks the node at `address` for nodes near a random id (`find_node`). null when no answer, or none that is
 * well-formed, comes in time.
 */
export async function askDhtNode(address: PeerAddress, signal: AbortSignal): Promise<DhtAnswer | null> {
  const to = await resolveAddress(address).catch(() => null)
  if (to === null) return null
  const socket = createSocket('udp4')
  socket.on('error', () => undefined) // an ICMP refusal; the answer does not come
  try {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      signal.throwIfAborted()
      const answer = await ask(socket, to, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]))
      if (answer !== null) return answer
    }
    return null
  } finally {
    socket.close()
  }
}

function ask(socket: Socket, to: PeerAddress, signal: AbortSignal): Promise<DhtAnswer | null> {
  const transaction = randomBytes(4)
  const string = (bytes: Uint8Array): Uint8Array => Buffer.concat([Buffer.from(`${bytes.length}:`), bytes])
  const query = Buffer.concat([
    Buffer.from('d1:ad2:id'),
    string(randomBytes(ID_BYTES)),
    Buffer.from('6:target'),
    string(randomBytes(ID_BYTES)),
    // Keys are sorted; `ro` (BEP 43) keeps this id, which is gone in a moment, out of the node's table.
    Buffer.from('e1:q9:find_node2:roi1e1:t'),
    string(transaction),
    Buffer.from('1:y1:qe'),
  ])
  return new Promise((resolve) => {
    const startedAt = performance.now()
    const end = (answer: DhtAnswer | null): void => {
      socket.off('message', onMessage)
      signal.removeEventListener('abort', late)
      resolve(answer)
    }
    const late = (): void => end(null)
    const onMessage = (bytes: Buffer, from: { readonly address: string; readonly port: number }): void => {
      if (from.address !== to.host || from.port !== to.port) return
      const answer = readAnswer(bytes, transaction)
      if (answer !== null) end({ ...answer, roundTripMs: performance.now() - startedAt })
    }
    signal.addEventListener('abort', late, { once: true })
    socket.on('message', onMessage)
    socket.send(query, to.port, to.host, (error) => {
      if (error) end(null)
    })
  })
}

/** null for anything but a response to this transaction. */
function readAnswer(bytes: Uint8Array, transaction: Uint8Array): Omit<DhtAnswer, 'roundTripMs'> | null {
  try {
    const message = stringsOf(bytes)
    if (!Buffer.from(transaction).equals(message('t') ?? new Uint8Array())) return null
    const reply = message('r', true)
    const id = reply === null ? null : stringsOf(reply)('id')
    if (reply === null || id?.length !== ID_BYTES) return null
    return {
      nodeId: Buffer.from(id).toString('hex'),
      nodes: nodesIn(stringsOf(reply)('nodes') ?? new Uint8Array()),
    }
  } catch {
    return null // not bencoded
  }
}

function nodesIn(compact: Uint8Array): DhtAnswer['nodes'] {
  const bytes = Buffer.from(compact)
  return Array.from({ length: Math.floor(bytes.length / COMPACT_NODE_BYTES) }, (_, index) => {
    const at = index * COMPACT_NODE_BYTES
    const host = bytes.subarray(at + ID_BYTES, at + ID_BYTES + 4).join('.')
    return {
      nodeId: bytes.toString('hex', at, at + ID_BYTES),
      address: { host, port: bytes.readUInt16BE(at + ID_BYTES + 4) },
    }
  })
}

/** Reads the strings of a dictionary by key, or with `isWhole` a value as it is encoded; null where there is none. */
function stringsOf(dictionary: Uint8Array): (key: string, isWhole?: boolean) => Buffer | null {
  const spans = scanDictionary(dictionary)
  return (key, isWhole = false) => {
    const span = spans.get(key)
    if (span === undefined) return null
    const value = Buffer.from(dictionary.subarray(span.start, span.end))
    return isWhole ? value : value.subarray(value.indexOf(':') + 1)
  }
}
