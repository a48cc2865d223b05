/**
 * The end of a download: nothing can be begun with anybody, and what slower peers were asked for last is asked of another
 * one too. Not before: while there is something to begin, what a slow peer was asked for comes in time, and asked for
 * twice it comes twice. In a swarm of eight that were 28 of 100 blocks.
 */
import { BLOCK_BYTES } from '../seeding/frames.ts'
import { blockOfKey } from './active-piece.ts'
import type { LanePeer } from './lane-peer.ts'
import type { WantedBlock } from './requests.ts'

/** A peer that needs so many times longer than another for what it was asked for is helped, … */
const HELP_RATIO = 2
/** … unless it is done in no time anyway. */
const HELP_SECONDS = 0.25

export interface TakeOver {
  readonly from: Iterable<LanePeer>
  /** Blocks at most. */
  readonly room: number
}

/** Blocks that were asked of others, and are asked of this peer from now on too. */
export function takeOver(peer: LanePeer, { from, room }: TakeOver): WantedBlock[] {
  const taken: WantedBlock[] = []
  for (const other of from) {
    if (other === peer || !isSlower(other, peer)) continue
    for (const key of [...other.asked.keys()].reverse()) {
      if (taken.length >= room) return taken
      const piece = other.asked.get(key)!
      const block = blockOfKey(key)
      if (piece.isSolo || peer.asked.has(key) || !piece.isAsked(block)) continue
      if (!peer.has(piece.index) || !peer.mayAsk(piece.index)) continue
      piece.isShared = true
      peer.asked.set(key, piece)
      taken.push({ piece, block })
    }
  }
  return taken
}

function isSlower(other: LanePeer, peer: LanePeer): boolean {
  if (other.asked.size === 0) return false
  const needed = (other.asked.size * BLOCK_BYTES) / Math.max(peer.rate, 1)
  return other.secondsLeft > HELP_RATIO * needed + HELP_SECONDS
}
