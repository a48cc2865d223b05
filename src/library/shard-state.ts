/**
 * What a library knows of one file, and what it tells its owner. The transitions are drawn here.
 */
import type { FileIdentity } from './identity.ts'
import type { ShardRecord } from './records.ts'
import type { Evidence, WaitKind } from './wholeness.ts'

/**
 * A whole, hashed shard; as long as it is not said to be gone, the file at `path` has this identity and
 * content.
 */
export interface ShardFile extends ShardRecord {
  /** Below the root, for messages. */
  readonly relativePath: string
}

/*
 * settling -> hashing -> seeding        settling, hashing -> rejected (says why)
 * hashing  -> settling (it changed)     rejected -> settling (it changed, or what was in the way may be gone)
 * seeding  -> settling (it changed on disk, or was found not to be what was hashed; withdrawn first)
 * settling, seeding, hashing -> rejected (it cannot be read any more)
 * new, settling, seeding -> alias (another path of the same file names it)
 * alias    -> seeding, settling (the other path is gone, or both need a torrent)
 * any      -> gone (removed): then nothing is known of it
 */
export type ShardState = Settling | Hashing | Seeding | Rejected | Alias

/** Waiting until it is whole and quiet. */
export interface Settling {
  readonly kind: 'settling'
  readonly identity: FileIdentity
  /** When this identity was first seen (performance.now), … */
  readonly seenAtMs: number
  /** … and how long it had been quiet by then, as its own times say. */
  readonly quietBeforeMs: number
  /** When the file began to settle, through all changes since. */
  readonly sinceMs: number
  /** Not before this (performance.now), however quiet it is: it was found changed without a trace before. */
  readonly notBeforeMs: number
  /** What was told already; each kind of reason once. */
  readonly told: Set<WaitKind>
  /** As what it was rejected before it was looked at again, so that the same is not told twice. */
  readonly rejectedAs: string | undefined
  /** What the bytes of this identity say, once they were looked at. */
  evidence: Evidence | undefined
}

/** Waiting for a thread of the pool, or being read by one. */
export interface Hashing {
  readonly kind: 'hashing'
  readonly identity: FileIdentity
  readonly abort: AbortController
  /** As of {@link Settling}. */
  readonly rejectedAs: string | undefined
  hashedBytes: number
}

export interface Seeding {
  readonly kind: 'seeding'
  readonly identity: FileIdentity
  readonly shard: ShardFile
}

export interface Rejected {
  readonly kind: 'rejected'
  /** Undefined when the file could not even be looked at. */
  readonly identity: FileIdentity | undefined
  readonly code: string
  readonly reason: string
  /** Whether the cause may go without a change of the file: permissions, a link's target. */
  readonly retry: boolean
  /** Whether it is the same under every path of the file. */
  readonly isOfContent: boolean
}

/** Why a file is not seeded. */
export type Verdict = Pick<Rejected, 'code' | 'reason' | 'retry' | 'isOfContent'>

/** Of what the bytes are: the same under every path of the file, until it changes. */
export const FOR_GOOD = { retry: false, isOfContent: true } as const

/** One more path of a file that is settling, hashed or seeded under another: a link, or another name of a blob. */
export interface Alias {
  readonly kind: 'alias'
  readonly identity: FileIdentity
  readonly of: string
  readonly isTold: boolean
}

/** One file in a snapshot. */
export interface LibraryEntry {
  readonly path: string
  readonly relativePath: string
  readonly state: ShardState['kind']
  /** Bytes on disk, 0 where they are not known. */
  readonly length: number
  /** How far the hashing is, in bytes. */
  readonly hashedBytes?: number
  readonly shard?: ShardFile
  readonly code?: string
  readonly reason?: string
}

/** How the files found at start were decided. */
export interface ScanSummary {
  readonly files: number
  readonly seeding: number
  readonly rejected: number
  readonly waiting: number
}

/** What a library tells; `file` is the path below the root. Called synchronously, never after `stop`. */
export interface LibraryListener {
  /** A thread began to read it. */
  onHashing(file: string, length: number): void
  /** Whole and hashed, or unchanged since it was. */
  onShard(shard: ShardFile): void
  /** No longer what was hashed; always called before the file is hashed again. */
  onGone(shard: ShardFile, reason: string): void
  /** Will not be seeded as it is. It is looked at again when it changes. */
  onRejected(file: string, code: string, reason: string): void
  /** It is the same file as `shard`, whose torrent serves for both; once. */
  onAlias(file: string, shard: ShardFile): void
  /** Not whole yet; each kind of reason once. */
  onWaiting(file: string, reason: string): void
  /** Every file that was there at start is decided: seeding, rejected, or waiting. Once. */
  onScanned(summary: ScanSummary): void
}

/** The snapshot of one file. */
export function entryOf(path: string, relativePath: string, state: ShardState): LibraryEntry {
  const base = { path, relativePath, state: state.kind, length: Number(state.identity?.size ?? 0n) }
  switch (state.kind) {
    case 'settling':
    case 'alias':
      return base
    case 'hashing':
      return { ...base, hashedBytes: state.hashedBytes }
    case 'seeding':
      return { ...base, shard: state.shard }
    case 'rejected':
      return { ...base, code: state.code, reason: state.reason }
  }
}
