/** One piece under way: its bytes so far, and which of its blocks were asked for, arrived, and from whom. */
import { BLOCK_BYTES } from '../seeding/frames.ts'
import type { LanePeer } from './lane-peer.ts'

/** No piece has so many blocks (that would be pieces of 1 GiB). */
const MAX_BLOCKS = 65_536

const FREE = 0
const ASKED = 1
const HERE = 2

/** Names a block among those of all pieces. */
export const blockKey = (piece: number, block: number): number => piece * MAX_BLOCKS + block
export const blockOfKey = (key: number): number => key % MAX_BLOCKS

export class ActivePiece {
  readonly index: number
  readonly length: number
  readonly blocks: number
  readonly buffer: Buffer
  /** Fetched from one peer alone, because it was wrong when it came from several. */
  readonly isSolo: boolean
  readonly #states: Uint8Array
  readonly #senders: (LanePeer | undefined)[]
  /** The peer that is asking for it in sequence; others only help. */
  owner: LanePeer | null = null
  /** Blocks that nobody is asked for. */
  free: number
  /** Blocks that are not here yet. */
  missing: number
  /** Some of its blocks were asked of more than one peer. */
  isShared = false
  #next = 0

  constructor(index: number, length: number, buffer: Buffer, isSolo: boolean) {
    this.index = index
    this.length = length
    this.buffer = buffer
    this.isSolo = isSolo
    this.blocks = Math.ceil(length / BLOCK_BYTES)
    this.#states = new Uint8Array(this.blocks)
    this.#senders = new Array<LanePeer | undefined>(this.blocks)
    this.free = this.blocks
    this.missing = this.blocks
  }

  get bytes(): Buffer {
    return this.length === this.buffer.length ? this.buffer : this.buffer.subarray(0, this.length)
  }

  blockLength(block: number): number {
    return Math.min(BLOCK_BYTES, this.length - block * BLOCK_BYTES)
  }

  /** Takes the first block that nobody is asked for; there must be one. */
  ask(): number {
    while (this.#states[this.#next] !== FREE) this.#next++
    this.#states[this.#next] = ASKED
    this.free--
    return this.#next++
  }

  isAsked(block: number): boolean {
    return this.#states[block] === ASKED
  }

  /** A block that was asked for is not to be expected any more. */
  release(block: number): void {
    if (this.#states[block] !== ASKED) return
    this.#states[block] = FREE
    this.free++
    this.#next = Math.min(this.#next, block)
  }

  arrived(block: number, from: LanePeer): void {
    if (this.#states[block] === FREE) this.free-- // from a peer that had been given up
    this.#states[block] = HERE
    this.#senders[block] = from
    this.missing--
  }

  /** Who sent each block. */
  get senders(): readonly (LanePeer | undefined)[] {
    return this.#senders
  }

  /** Forgets all that came. */
  reset(): void {
    this.#states.fill(FREE)
    this.#senders.fill(undefined)
    this.owner = null
    this.free = this.missing = this.blocks
    this.#next = 0
  }
}
