/**
 * Is the file whole? GGUF says how long it must be; that it was quiet for a while, and that nobody is seen to
 * be at it, says that its bytes are there. Everything is asked again for each new identity of the file.
 */
import type { BigIntStats } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type GgufVerdict, inspectGguf } from '../gguf/inspect.ts'
import { READ_FLAGS } from '../open-flags.ts'
import type { FileIdentity } from './identity.ts'
import { writerOf } from './open-writers.ts'
import { companionsOf } from './shard-name.ts'

/** How long a file must have been quiet for what. Tests have their own, shorter ones. */
export interface SettleTimes {
  /** Before it is looked into at all: a file that grows costs one `stat` a change, no more. */
  readonly momentMs: number
  /** A file that is whole by its header. Copies pause for less between two writes. */
  readonly settleMs: number
  /** A file that may be whole: a tensor type of unknown size, or signs of space that was only set aside. */
  readonly doubtMs: number
  /** A file that is too short is given up; it is looked at again as soon as it changes. */
  readonly giveUpMs: number
  /** A file that is written to without a pause is said to be waiting after this long. */
  readonly changingMs: number
  /**
   * A process that holds the file open for writing, or a forgotten `.lock` beside it, is no longer waited
   * for.
   */
  readonly abandonedMs: number
  /** How often to ask again where no event will come: a companion file, a writer. */
  readonly askAgainMs: number
}

export const SETTLE_TIMES: SettleTimes = {
  momentMs: 1_000,
  settleMs: 3_000,
  doubtMs: 20_000,
  giveUpMs: 60_000,
  changingMs: 10_000,
  abandonedMs: 600_000,
  askAgainMs: 2_000,
}

/** Why a file is not decided yet; each kind is told once while a file settles. */
export type WaitKind = 'incomplete' | 'doubt' | 'companion' | 'writer' | 'changing'

export interface WaitReason {
  readonly kind: WaitKind
  readonly reason: string
}

/** What to do next about a file. */
export type Step =
  | { readonly kind: 'whole' }
  | { readonly kind: 'wait'; readonly forMs: number; readonly because?: WaitReason }
  | { readonly kind: 'reject'; readonly code: string; readonly reason: string }

/** What the bytes of one identity say; `doubt` is why a longer quiet is asked for. */
export type Evidence =
  | { readonly kind: 'whole'; readonly doubt?: string }
  | { readonly kind: 'incomplete'; readonly empty: boolean; readonly reason: string }
  | { readonly kind: 'invalid'; readonly code: string; readonly reason: string }

/** Enough to meet a byte that is not zero in any real tensor, and one page to read. */
const TAIL_BYTES = 4096

/** @throws what opening and reading the file throw */
export async function gatherEvidence(
  path: string,
  stats: BigIntStats,
  signal: AbortSignal,
): Promise<Evidence> {
  const verdict = await inspectGguf(path, { signal })
  switch (verdict.kind) {
    case 'invalid':
      return { kind: 'invalid', code: verdict.code, reason: verdict.reason }
    case 'incomplete':
      return { kind: 'incomplete', empty: verdict.length === 0, reason: verdict.reason }
    case 'undecidable':
      return { kind: 'whole', doubt: verdict.reason }
    case 'whole': {
      const doubt = await doubtOf(path, stats, verdict)
      return doubt === undefined ? { kind: 'whole' } : { kind: 'whole', doubt }
    }
  }
}

/**
 * Decides about a file that has been quiet for `quietMs`, from what its bytes say and what is seen around it.
 */
export async function nextStep(
  file: { readonly path: string; readonly name: string; readonly identity: FileIdentity },
  evidence: Evidence,
  quietMs: number,
  times: SettleTimes,
): Promise<Step> {
  const neededMs = quietNeeded(evidence, times)
  if (quietMs < neededMs) {
    const because = whyNotYet(evidence)
    return { kind: 'wait', forMs: neededMs - quietMs, ...(because && { because }) }
  }
  // Also before a rejection: space that was reserved and is not written yet looks like no GGUF at all.
  const because = await whoIsAtIt(file, quietMs, quietMs >= times.abandonedMs)
  if (because !== undefined) return { kind: 'wait', forMs: times.askAgainMs, because }
  switch (evidence.kind) {
    case 'whole':
      return { kind: 'whole' }
    case 'incomplete':
      return {
        kind: 'reject',
        code: evidence.empty ? 'empty' : 'incomplete',
        reason: `${evidence.reason}; it does not grow any more, so copy it again`,
      }
    case 'invalid':
      return { kind: 'reject', code: evidence.code, reason: evidence.reason }
  }
}

function quietNeeded(evidence: Evidence, times: SettleTimes): number {
  switch (evidence.kind) {
    case 'whole':
      return evidence.doubt === undefined ? times.settleMs : times.doubtMs
    case 'incomplete':
      return times.giveUpMs
    case 'invalid':
      return times.momentMs
  }
}

function whyNotYet(evidence: Evidence): WaitReason | undefined {
  if (evidence.kind === 'incomplete') return { kind: 'incomplete', reason: evidence.reason }
  if (evidence.kind === 'whole' && evidence.doubt) return { kind: 'doubt', reason: evidence.doubt }
  return undefined
}

/** Signs that the length was set in advance and the bytes are still to come. */
async function doubtOf(
  path: string,
  { size, blocks }: BigIntStats,
  { header, minimumLength }: Extract<GgufVerdict, { kind: 'whole' }>,
): Promise<string | undefined> {
  if (blocks * 512n < size) return 'it takes less space on disk than its length; perhaps still being filled'
  const length = Math.min(header.tensors.at(-1)?.byteLength ?? 0, TAIL_BYTES)
  if (length === 0) return undefined
  const file = await open(path, READ_FLAGS)
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, minimumLength - length)
    const zeros = buffer.subarray(0, bytesRead).every((byte) => byte === 0)
    return zeros ? 'its last tensor ends in zeros only; perhaps still being filled' : undefined
  } finally {
    await file.close()
  }
}

async function whoIsAtIt(
  { path, name, identity }: { readonly path: string; readonly name: string; readonly identity: FileIdentity },
  quietMs: number,
  abandoned: boolean,
): Promise<WaitReason | undefined> {
  for (const companion of companionsOf(name)) {
    if (abandoned && companion.mayBeStale) continue
    const stands = await lstat(join(dirname(path), companion.name)).then(
      () => true,
      () => false,
    )
    if (stands) {
      const reason = `${companion.name} stands beside it: still being downloaded; remove that file if it is not`
      return { kind: 'companion', reason }
    }
  }
  const writer = abandoned ? undefined : await writerOf(identity, quietMs)
  return writer === undefined
    ? undefined
    : { kind: 'writer', reason: `process ${writer} has it open for writing` }
}
