/** What the files of a library need around them. */
import type { HashPool } from './hash-pool.ts'
import type { LookLoop } from './look-loop.ts'
import type { Naming } from './naming.ts'
import type { ShardRecords } from './records.ts'
import type { LibraryListener } from './shard-state.ts'
import type { SettleTimes } from './wholeness.ts'

export interface ShardFilesOptions {
  /** The path below its folder, for messages. */
  readonly relative: (path: string) => string
  /** The folder of the library that a path is in. */
  readonly rootOf: (path: string) => string
  /** Whether that stands at all. */
  readonly isMounted: (path: string) => Promise<boolean>
  readonly naming: Naming
  readonly pool: Pick<HashPool, 'hash'>
  readonly times: SettleTimes
  readonly records: ShardRecords
  readonly loop: Pick<LookLoop, 'mark' | 'run'>
  readonly listener: LibraryListener
  /** Whether a path that was not known before is one of this library's. */
  readonly admit: (path: string) => Promise<boolean>
  /** A file is seeding, rejected, gone, or was said to be waiting. */
  readonly onDecided: (path: string) => void
  /** Aborted when the library stops: nothing changes and nothing is told after that. */
  readonly signal: AbortSignal
}
