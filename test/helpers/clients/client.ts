/**
 * What the interop tests ask of a standard BitTorrent client. Every adapter runs the client as its makers ship
 * it: factory settings apart from ports, paths and what the recipe of `gguf-swarm recipe` says.
 */
import type { TestContext } from 'node:test'
import type { ClientName, SetUp } from '../../../src/commands/recipes.ts'
import type { Host } from '../netns.ts'
import type { Requirement } from '../requirements.ts'
import { until } from '../until.ts'

export interface ClientOptions {
  /** What `gguf-swarm recipe` says of it. */
  readonly setUp: SetUp
  /** The .torrent of a small shard of the fleet. */
  readonly fleetTorrent: string
  /** An empty folder of its own: settings, DHT state and downloads. */
  readonly folder: string
}

/** What a person gives a client: a link or a file. */
export type TorrentSource = { readonly magnet: string } | { readonly torrentFile: string }

export interface TorrentClient {
  /** Resolves with the path of the file when the client itself says that it is complete. */
  download(source: TorrentSource, limits: { readonly timeoutMs: number }): Promise<string>
  /** Seeds the file of `torrentFile` that lies in `folder`; resolves when the client has checked the whole of it. */
  seed(torrentFile: string, folder: string): Promise<void>
}

export interface ClientKind {
  readonly name: string
  readonly recipe: ClientName
  /** What must be installed for it. */
  readonly requirements: readonly Requirement[]
  /** Resolves when the client takes orders. */
  start(t: TestContext, host: Host, options: ClientOptions): Promise<TorrentClient>
}

/** How long a client may take until it takes orders. */
export const CLIENT_START_TIMEOUT_MS = 20_000
/** How long a client may take to check a file of some 64 MB that it is to seed. */
export const CLIENT_CHECK_TIMEOUT_MS = 30_000
/** libtorrent says that it has all when all is checked, while its last blocks are still on their way into the file. */
export const WRITTEN_TIMEOUT_MS = 10_000
/** How often a client is asked how far it is: rarely enough to leave the processor to the transfer. */
const POLL_MS = 250

/**
 * Asks a client for the status of a torrent until `isOver` (which may be good or bad) and gives the last one;
 * the error at the end of `timeoutMs` says how far it had come.
 */
export async function untilOver<Status>(
  ask: () => Promise<Status | undefined>,
  isOver: (status: Status) => boolean,
  timeoutMs: number,
): Promise<Status> {
  let last: Status | undefined
  const check = async () => {
    last = await ask()
    return last !== undefined && isOver(last)
  }
  try {
    await until(check, { timeoutMs, everyMs: POLL_MS, what: 'the whole file' })
  } catch (error) {
    throw new Error(`the client's last word: ${JSON.stringify(last)}`, { cause: error })
  }
  return last as Status
}
