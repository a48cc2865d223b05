/**
 * A peer that asks one host for blocks of one shard without end, over one connection after another, and holds each
 * against what the shard was: whatever happens to the file, no other byte may come.
 */

import { connect } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { afterTest } from '../helpers/after-test.ts'
import { handshake, ID, type Message, message, RawPeer, uint32 } from '../hostile/raw-peer.ts'

const BLOCK_BYTES = 16_384
/** Asked for at once: enough that the host is reading whenever something happens to the file. */
const UNDER_WAY = 8
/** Between two connections, as a host that withdrew the shard hangs up on everybody who asks for it. */
const AGAIN_MS = 100

/** What it asks for, and what it must get. */
export interface HashedShard {
  readonly infoHash: string
  readonly bytes: Buffer
  readonly pieceLength: number
}

export class HashingPeer {
  /** Blocks that were as they must be. */
  right = 0
  /** What was wrong with those that were not. */
  readonly wrong: string[] = []
  readonly #port: number
  readonly #shard: HashedShard
  readonly #blocks: number
  #next = 0
  #stopped = false

  private constructor(port: number, shard: HashedShard) {
    this.#port = port
    this.#shard = shard
    this.#blocks = Math.ceil(shard.bytes.length / BLOCK_BYTES)
  }

  /** Begins to ask the host at `port` of loopback, until the test is over. */
  static start(t: TestContext, port: number, shard: HashedShard): HashingPeer {
    const peer = new HashingPeer(port, shard)
    afterTest(t, () => peer.stop())
    void peer.#run()
    return peer
  }

  stop(): void {
    this.#stopped = true
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const socket = connect(this.#port, '127.0.0.1')
      const peer = new RawPeer(socket, (incoming) => this.#hear(incoming, peer))
      peer.write(handshake({ infoHash: this.#shard.infoHash }), message(ID.interested))
      while (!peer.closed && !this.#stopped) await pause(AGAIN_MS)
      socket.destroy()
    }
  }

  #hear({ id, body }: Message, peer: RawPeer): void {
    if (id === ID.unchoke) for (let count = 0; count < UNDER_WAY; count++) this.#ask(peer)
    if (id === ID.piece) this.#judge(body)
    if (id === ID.piece || id === ID.reject) this.#ask(peer)
  }

  #ask(peer: RawPeer): void {
    const { bytes, pieceLength } = this.#shard
    const start = (this.#next++ % this.#blocks) * BLOCK_BYTES
    const length = Math.min(BLOCK_BYTES, bytes.length - start)
    peer.write(message(ID.request, uint32(Math.floor(start / pieceLength), start % pieceLength, length)))
  }

  #judge(body: Buffer): void {
    const [piece, offset] = [body.readUInt32BE(0), body.readUInt32BE(4)]
    const start = piece * this.#shard.pieceLength + offset
    const block = body.subarray(8)
    if (block.equals(this.#shard.bytes.subarray(start, start + BLOCK_BYTES))) this.right++
    else if (this.wrong.length < 10)
      this.wrong.push(`${block.length} bytes at ${start} of ${this.#shard.infoHash}`)
  }
}
