/** A peer made of bytes: says on a TCP connection exactly what a test wants, in place of what the protocol wants. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { afterTest } from '../helpers/after-test.ts'
import { until } from '../helpers/until.ts'

const PROTOCOL = '\u0013BitTorrent protocol'
const HANDSHAKE_BYTES = 68
/** Reserved bits: extension protocol (BEP 10) and fast extension (BEP 6). */
const RESERVED = Buffer.from('0000000000100004', 'hex')

/** Message ids of BEP 3, 5, 6 and 10. */
export const ID = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  notInterested: 3,
  have: 4,
  bitfield: 5,
  request: 6,
  piece: 7,
  cancel: 8,
  port: 9,
  suggest: 13,
  haveAll: 14,
  haveNone: 15,
  reject: 16,
  allowedFast: 17,
  extended: 20,
} as const

/** One message as it came in. */
export interface Message {
  readonly id: number
  readonly body: Buffer
}

export interface HandshakeOptions {
  readonly infoHash: string
  readonly peerId?: string
  readonly reserved?: Buffer
}

export function handshake({ infoHash, peerId, reserved = RESERVED }: HandshakeOptions): Buffer {
  const id =
    peerId ??
    Buffer.from(`-XX0000-${Math.random().toString(36).padEnd(12, 'x').slice(0, 12)}`).toString('hex')
  return Buffer.concat([
    Buffer.from(PROTOCOL, 'latin1'),
    reserved,
    Buffer.from(infoHash, 'hex'),
    Buffer.from(id, 'hex'),
  ])
}

/**
 * Whether a connection opens in plaintext. All of the name counts: an encrypted opening (MSE) is random bytes, and
 * one in 256 begins like a handshake.
 */
export const isPlaintext = (first: Buffer): boolean =>
  first.subarray(0, PROTOCOL.length).toString('latin1') === PROTOCOL

export const uint32 = (...numbers: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * numbers.length)
  for (const [at, number] of numbers.entries()) bytes.writeUInt32BE(number >>> 0, 4 * at)
  return bytes
}

/** A message with its length in front. */
export function message(id: number, ...body: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.from([id]), ...body])
  return Buffer.concat([uint32(bytes.length), bytes])
}

/** An extension message (BEP 10); number 0 is the extended handshake. */
export const extended = (number: number, payload: string | Buffer): Buffer =>
  message(ID.extended, Buffer.from([number]), Buffer.from(payload as string, 'latin1'))

/** One connection. */
export class RawPeer {
  readonly socket: Socket
  readonly messages: Message[] = []
  handshaken = false
  closed = false
  #unread: Buffer = Buffer.alloc(0)
  readonly #onMessage: ((message: Message, peer: RawPeer) => void) | undefined

  constructor(socket: Socket, onMessage?: (message: Message, peer: RawPeer) => void) {
    this.socket = socket
    this.#onMessage = onMessage
    socket.on('error', () => undefined) // being cut off is what most of these peers are after
    socket.on('close', () => {
      this.closed = true
    })
    socket.on('data', (bytes) => this.#read(bytes))
  }

  write(...bytes: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes))
  }

  /** Waits for a message with this id, past or to come. */
  async received(id: number, timeoutMs = 30_000): Promise<Message> {
    return until(() => this.messages.find((message) => message.id === id), {
      timeoutMs,
      what: `message ${id}`,
    })
  }

  /** Waits until the other side has hung up: as long as no silent peer is left for its silence. */
  async hungUp(what: string, timeoutMs = 5_000): Promise<void> {
    await until(() => this.closed, { timeoutMs, what: `the connection is cut: ${what}` })
  }

  #read(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes])
    if (!this.handshaken) {
      if (this.#unread.length < HANDSHAKE_BYTES) return
      this.handshaken = this.#unread.subarray(0, 20).toString('latin1') === PROTOCOL
      this.#unread = this.#unread.subarray(HANDSHAKE_BYTES)
    }
    while (this.#unread.length >= 4) {
      const length = this.#unread.readUInt32BE()
      if (this.#unread.length < 4 + length) return
      const body = this.#unread.subarray(4, 4 + length)
      this.#unread = this.#unread.subarray(4 + length)
      if (length === 0) continue
      const message = { id: body[0]!, body: Buffer.from(body.subarray(1)) }
      if (this.messages.length < 1_000) this.messages.push(message)
      this.#onMessage?.(message, this)
    }
  }
}

/** Connects to a port on loopback. */
export async function connectTo(t: TestContext, port: number, host = '127.0.0.1'): Promise<RawPeer> {
  const socket = connect({ port, host })
  const peer = new RawPeer(socket)
  afterTest(t, () => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve())
    socket.once('error', reject)
  })
  return peer
}

/** Connects and shakes hands; resolves when the other side has, too. */
export async function meet(t: TestContext, port: number, options: HandshakeOptions): Promise<RawPeer> {
  const peer = await connectTo(t, port)
  peer.write(handshake(options))
  await until(() => peer.handshaken || peer.closed, { timeoutMs: 30_000, what: 'handshake' })
  if (!peer.handshaken) throw new Error('the connection was cut before the handshake')
  return peer
}

/** Listens on a loopback address; `onPeer` gets every connection. */
export async function listen(
  t: TestContext,
  onPeer: (socket: Socket) => void,
  host = '127.0.0.1',
): Promise<{ host: string; port: number; server: Server }> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
    onPeer(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  afterTest(t, () => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { host, port: (server.address() as AddressInfo).port, server }
}
