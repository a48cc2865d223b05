/** How a fetch that brought no shard ended, and what follows from that. */
import {
  DiskError,
  InvalidDataError,
  messageOf,
  NotFoundError,
  SwarmError,
  UsageError,
} from '../../errors.ts'

/** A fetch that was one too many is not begun again before all have seen that it was given up. */
const SURPLUS_MS = 10_000
/** A disk that filled up although there seemed to be room. */
const FULL_MS = 30_000

/** Why a fetch was ended from outside. */
export type StopCode = 'surplus' | 'no-room' | 'present' | 'stopping'

/** Thrown by a fetch that was stopped. */
export class FetchStopped extends Error {
  readonly code: StopCode

  constructor(code: StopCode) {
    super(`stopped: ${code}`)
    this.code = code
  }
}

/** What a host does after such an end. */
export interface Ending {
  readonly code: string
  /** For people; null when there is nothing to tell. */
  readonly reason: string | null
  /** What was fetched stays for the next attempt. */
  readonly keeps: boolean
  /** `refuse`: never again; `retry`: later, each time later than the last; a number: after so many ms. */
  readonly next: 'refuse' | 'retry' | number
  /** Those that offer it did not serve it. */
  readonly blames: boolean
}

/** Judges what a fetch threw. */
export function endingOf(error: unknown): Ending {
  if (error instanceof FetchStopped) return stoppedBy(error.code)
  const reason = messageOf(error)
  const code = error instanceof SwarmError ? error.code : 'failed'
  const later: Ending = { code, reason, keeps: true, next: 'retry', blames: false }
  if (error instanceof DiskError) {
    const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT'
    return isFull ? { ...stoppedBy('no-room'), next: FULL_MS } : later
  }
  if (error instanceof NotFoundError) return { ...later, blames: true }
  // What does not read back as it was received is this machine's fault, and none of the shard's.
  const isRefused = error instanceof UsageError || (error instanceof InvalidDataError && code !== 'corrupt')
  return isRefused ? { ...later, keeps: false, next: 'refuse' } : later
}

function stoppedBy(code: StopCode): Ending {
  const ending = { code, keeps: false, next: 0, blames: false }
  switch (code) {
    case 'surplus':
      return {
        ...ending,
        next: SURPLUS_MS,
        reason: 'enough other hosts of the fleet have it or are fetching it',
      }
    case 'present':
      return { ...ending, reason: 'it came here another way' }
    case 'no-room':
      return {
        ...ending,
        keeps: true,
        reason: 'the disk has become too full; free some space, and it goes on',
      }
    case 'stopping':
      return { ...ending, keeps: true, reason: null }
  }
}
