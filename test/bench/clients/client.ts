/**
 * One interface for every implementation. Each is set up for its best on this work (TCP, no rate limits, no
 * discovery), and otherwise as its makers ship it.
 */
import type { Requirement } from '../../helpers/requirements.ts'
import type { BenchFile, Cost } from '../model.ts'
import type { PeerAt, Tracker } from '../tracker.ts'

/** One file to fetch, and who has it. */
export interface Wanted {
  readonly file: BenchFile
  readonly peer: PeerAt
}

export interface GetJob {
  /** All at once, by one process. */
  readonly wanted: readonly Wanted[]
  /** An empty folder of its own: settings and downloads. */
  readonly folder: string
  readonly address: string
  /** Knows the peers of `wanted`. */
  readonly tracker: Tracker
}

export interface Got {
  /**
   * From the start of the process to its end, for command lines; to the word that all is whole, for engines in a
   * script of ours, whose end is not theirs; from the order to that word, for daemons, whose start is not counted.
   */
  readonly tookMs: number
  /** In the order of `wanted`. */
  readonly paths: readonly string[]
  readonly cost: Cost
  readonly marks?: Readonly<Record<string, number>>
}

export interface SeedJob {
  readonly file: BenchFile
  readonly folder: string
  readonly address: string
  /** The network namespace to run in, where it is not the bench's own. */
  readonly netns?: string
}

/** One downloader among several, which stays when it is whole. */
export interface JoinJob {
  readonly file: BenchFile
  readonly folder: string
  readonly at: PeerAt
  readonly netns: string
  /** Seeder and downloaders, some of which may not listen yet. */
  readonly peers: readonly PeerAt[]
}

export interface Joined {
  /** It listens, and dials its peers. */
  readonly up: Promise<unknown>
  /** By performance.now, when it said that the file is whole. */
  readonly whole: Promise<{ readonly at: number; readonly path: string }>
  cost(): Cost
  stop(): Promise<void>
}

/** A process that seeds. */
export interface Seeding {
  readonly pid: number
  readonly peer: PeerAt
  cost(): Cost
  stop(): Promise<void>
}

export interface CreateJob {
  readonly file: BenchFile
  /** An empty folder of its own. */
  readonly folder: string
}

export interface Created {
  readonly tookMs: number
  readonly cost: Cost
  readonly torrentFile: string
}

/** An implementation, and what it can do. */
export interface Client {
  readonly name: string
  /** Left out of `--quick`: it takes long, and is never the fastest. */
  readonly slow?: boolean
  /** What must be installed for it. */
  readonly requirements: readonly Requirement[]
  readonly get?: (job: GetJob) => Promise<Got>
  readonly seed?: (job: SeedJob) => Promise<Seeding>
  readonly join?: (job: JoinJob) => Joined
  readonly create?: (job: CreateJob) => Promise<Created>
}

/** No transfer of the bench takes so long on any machine that one would measure on. */
export const TRANSFER_TIMEOUT_MS = 120_000
export const START_TIMEOUT_MS = 60_000
