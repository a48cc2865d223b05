/** What both chunk stores do to speak the engine's callbacks (the abstract-chunk-store interface). */
import type { ChunkStoreCallback } from 'webtorrent'
import { messageOf } from '../errors.ts'

/** A range of one piece, as the engine asks for it; all of the piece when left out. */
export type BlockRange = { readonly offset?: number; readonly length?: number } | null

/** Reads `length` bytes (all that is left when undefined) from `offset` of a piece. */
export type BlockReader = (offset: number, length: number | undefined) => Promise<Uint8Array>

/** Answers a `get`, whose range may be left out. */
export function answerGet(
  read: BlockReader,
  options: BlockRange | ChunkStoreCallback,
  callback: ChunkStoreCallback | undefined,
): void {
  const done = typeof options === 'function' ? options : callback
  const range = typeof options === 'function' ? null : options
  read(range?.offset ?? 0, range?.length).then(
    (block) => done?.(null, block),
    (error: unknown) => done?.(asError(error)),
  )
}

/** What the engine takes for an error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error))
}
