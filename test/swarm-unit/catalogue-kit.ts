/** Conversations of the catalogue protocol without sockets, and things to say in them. */
import bencode from 'bencode'
import { type InfoHash, parseInfoHash } from '../../src/metainfo/info-hash.ts'
import type { CatalogueMessage, MemberInfo, OfferedShard } from '../../src/swarm/catalogue/catalogue-entry.ts'
import { CatalogueSession, RefusedPeer, type Side } from '../../src/swarm/catalogue/catalogue-session.ts'

export const SECRET = new Uint8Array(32).fill(7)

/** An infohash (or host id, or half a SHA-256) for a number. */
export const hashOf = (number: number): InfoHash => parseInfoHash(number.toString(16).padStart(40, '0'))

export function shardOf(number: number, change: Partial<OfferedShard> = {}): OfferedShard {
  const length = change.length ?? 1_000_000 + number
  const state = change.state ?? 'seeding'
  return {
    infoHash: hashOf(number),
    name: `model-${number}.gguf`,
    length,
    pieceLength: 262_144,
    sha256: number.toString(16).padStart(64, '0'),
    state,
    verifiedBytes: state === 'seeding' ? length : 0,
    model: `model-${number}`,
    number: 1,
    count: 1,
    architecture: 'llama',
    sizeLabel: null,
    ...change,
  }
}

export function infoOf(number: number, change: Partial<MemberInfo> = {}): MemberInfo {
  return {
    hostId: hashOf(number),
    name: `host-${number}`,
    version: '0.1.0',
    role: 'host',
    startedAt: 1_700_000_000_000,
    port: 7_000,
    replicating: false,
    freeDiskBytes: 5_000_000_000,
    uploadBytesPerSecond: 0,
    downloadBytesPerSecond: 0,
    ...change,
  }
}

/** A session and the frames it has sent. */
export interface Speaker {
  readonly session: CatalogueSession
  readonly sent: Uint8Array[]
}

export function speaker(side: Side, secret: Uint8Array = SECRET): Speaker {
  const sent: Uint8Array[] = []
  const session = new CatalogueSession({ secret, side, send: (frame) => sent.push(frame) })
  session.start()
  return { session, sent }
}

/** Two sessions that have proved themselves to each other; their openings stay in `sent`. */
export function proved(): { readonly a: Speaker; readonly b: Speaker } {
  const [a, b] = [speaker('initiator'), speaker('acceptor')]
  for (let step = 0; step < 2; step++) {
    a.session.receive(b.sent[step]!)
    b.session.receive(a.sent[step]!)
  }
  return { a, b }
}

/** The frame of a message, which the other side has not heard yet. */
export function frameOf(from: Speaker, message: CatalogueMessage): Uint8Array {
  from.session.send(message)
  return from.sent.at(-1)!
}

/** Why a frame is refused; undefined when it is not. */
export function refusalOf(to: Speaker, frame: Uint8Array): string | undefined {
  try {
    to.session.receive(frame)
    return undefined
  } catch (error) {
    if (error instanceof RefusedPeer) return error.reason
    throw error
  }
}

/** Fields of a message of any kind, encoded. */
export const encoded = (fields: object): Uint8Array => bencode.encode(fields)
