/** A seeder made of bytes that may lie in whatever it says and sends. */
import type { TestContext } from 'node:test'
import type { PeerAddress } from '../../src/metainfo/peer-address.ts'
import {
  type HandshakeOptions,
  handshake,
  ID,
  isPlaintext,
  listen,
  type Message,
  message,
  RawPeer,
  uint32,
} from './raw-peer.ts'
import type { Content } from './swarm-kit.ts'

export interface Liar extends PeerAddress {
  /** Connections made to it so far. */
  readonly met: RawPeer[]
}

/** A peer that shakes hands on a loopback address of its own, says `opening`, and then answers as it likes. */
export async function liar(
  t: TestContext,
  about: HandshakeOptions,
  opening: readonly Buffer[],
  answer: (message: Message, peer: RawPeer) => void = () => undefined,
  address = '127.0.0.2',
): Promise<Liar> {
  const met: RawPeer[] = []
  const { host, port } = await listen(
    t,
    (socket) => {
      const peer = new RawPeer(socket, answer)
      met.push(peer)
      socket.once('data', (first) => {
        // Plaintext only: the first attempt, which is encrypted (MSE), is turned away.
        if (isPlaintext(first)) peer.write(handshake(about), ...opening)
        else socket.destroy()
      })
    },
    address,
  )
  return { host, port, met }
}

/** Has everything, and lets itself be asked. */
export const OFFER: readonly Buffer[] = [message(ID.haveAll), message(ID.unchoke)]

type Bytes = Pick<Content, 'bytes' | 'pieceLength'>
type Twist = (block: Buffer, piece: number) => Buffer

/** The answer to a request: the block that is asked for, its bytes changed by `twist`. */
export function blockFor(
  { bytes, pieceLength }: Bytes,
  request: Buffer,
  twist: Twist = (block) => block,
): Buffer {
  const [piece, offset, length] = [0, 4, 8].map((at) => request.readUInt32BE(at)) as [number, number, number]
  const start = piece * pieceLength + offset
  const block = Buffer.from(bytes.subarray(start, start + length))
  return message(ID.piece, uint32(piece, offset), twist(block, piece))
}

/** Sends every block that it is asked for. */
export function sendBlocks(content: Bytes, twist?: Twist) {
  return ({ id, body }: Message, peer: RawPeer): void => {
    if (id === ID.request) peer.write(blockFor(content, body, twist))
  }
}
