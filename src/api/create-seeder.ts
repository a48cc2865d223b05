/** `createSeeder`: a host in this process. */
import { hostname } from 'node:os'
import {
  DEFAULTS,
  parseAddressOption,
  parseHostNameOption,
  parseMaxConnsOption,
  parseMirrorOption,
  parsePortOption,
  parseRateOption,
  parseReplicasOption,
} from '../config.ts'
import { UsageError } from '../errors.ts'
import type { SeedEvent } from '../fleet/events.ts'
import type { FleetKey } from '../fleet/membership/fleet-key.ts'
import type { ReplicateSettings } from '../fleet/replication/replication-policy.ts'
import { Seeder } from '../fleet/seeder.ts'
import { silentLog } from '../log.ts'
import type { Running, SwarmOptions } from './options.ts'
import { dhtOf, fleetOf, startUntil } from './settings.ts'

/** Settings of a host; every one has a default. */
export interface CreateSeederOptions extends SwarmOptions {
  /** Where identity and records are kept, for one host at a time; `models_cache/state` unless told. */
  readonly stateDir?: string | undefined
  /** Where `.torrent` files are written; `models_cache/torrents` unless told. */
  readonly torrentsDir?: string | undefined
  /** What the host is called in its fleet, in 1 to 64 bytes; this machine's name unless told. */
  readonly name?: string | undefined
  /** `HOST:PORT` others reach this host at. */
  readonly advertise?: readonly string[] | undefined
  /** Mirrors (BEP 19) to put into magnets and `.torrent` files: folders, ending in `/`, and `.gguf` files. */
  readonly webSeeds?: readonly string[] | undefined
  /** Bytes a second over all peers; unlimited unless told. */
  readonly uploadBytesPerSecond?: number | undefined
  /** Connections at once; 500 unless told. */
  readonly maxConns?: number | undefined
  /** Fetches from its keyed fleet what it lacks, and seeds that too. */
  readonly replicate?: boolean | ReplicateOptions | undefined
  /** Told of everything that happens, in the words of `--json`. */
  readonly onEvent?: ((event: SeedEvent) => void) | undefined
}

/** What of its fleet a host fetches. */
export interface ReplicateOptions {
  /** Asked for a shard's name and for its model's, and one yes is enough; everything unless told. */
  readonly isWanted?: ((name: string) => boolean) | undefined
  /** Only shards with fewer whole copies in the fleet. */
  readonly replicas?: number | undefined
  /** Bytes of replicated files, all together. */
  readonly maxBytes?: number | undefined
  /** Bytes left free on the disk. */
  readonly minFreeBytes?: number | undefined
}

/** A shard that is seeded. Lengths are bytes. */
export type SeededShard = Omit<Extract<SeedEvent, { event: 'seeding' }>, 'event'>

type Folders = readonly [string, ...string[]]

/** A running host. */
export interface RunningSeeder extends Running {
  readonly hostId: string
  readonly port: number
  readonly dhtPort: number
  /** What is seeded at this moment. */
  readonly shards: readonly SeededShard[]
  /** Resolves when every file that was there at the start is seeded, waited for or refused. */
  readonly scanned: Promise<void>
}

/**
 * Starts a host that seeds every whole `.gguf` file under `folder`, or several of them, and those that come later. It
 * resolves when the ports are open; hashing goes on.
 *
 * @throws {SwarmError} `port-in-use`, `locked`, and for options that cannot be; the signal's reason
 */
export async function createSeeder(
  folder: string | Folders = DEFAULTS.shardsDir,
  options: CreateSeederOptions = {},
): Promise<RunningSeeder> {
  const { onEvent = () => undefined, signal } = options
  const dht = dhtOf(options)
  const fleet = await fleetOf(options, dht)
  const { promise: scanned, resolve: onScanned, reject: onNotScanned } = Promise.withResolvers<void>()
  scanned.catch(() => undefined) // nobody need wait for it
  const shards = new Map<string, SeededShard>()
  let listening: Extract<SeedEvent, { event: 'listening' }> | undefined
  const { running } = await startUntil(signal, (fail) =>
    Seeder.start(
      {
        folders: typeof folder === 'string' ? [folder] : folder,
        stateDir: options.stateDir ?? DEFAULTS.stateDir,
        torrentsDir: options.torrentsDir ?? DEFAULTS.torrentsDir,
        bind: options.bind ?? DEFAULTS.bind,
        port: options.port === undefined ? null : parsePortOption(options.port, 'port'),
        dhtPort: options.dhtPort === undefined ? null : parsePortOption(options.dhtPort, 'dhtPort'),
        dht,
        webSeeds: (options.webSeeds ?? []).map((text) => parseMirrorOption(text, 'webSeeds')),
        advertise: (options.advertise ?? []).map((text) => parseAddressOption(text, 'advertise')),
        uploadLimit: uploadLimitOf(options),
        maxConns: parseMaxConnsOption(options.maxConns ?? DEFAULTS.maxConns, 'maxConns'),
        fleet,
        name: parseHostNameOption(options.name ?? hostname(), 'name'),
        replicate: replicateSettings(options.replicate, fleet),
        recheckRate: parseRateOption(DEFAULTS.recheckRate, 'recheckRate'),
      },
      {
        onEvent: (event) => {
          if (event.event === 'listening') listening = event
          note(event, shards)
          onEvent(event)
        },
        onScanned: () => onScanned(),
        onFailed: fail,
      },
      silentLog,
    ),
  )
  if (listening === undefined) throw new TypeError('a host that has started tells where it listens')
  const { hostId, port, dhtPort } = listening
  void running.ended.then((error) =>
    onNotScanned(
      error ?? new UsageError('stopped', `the host of ${folder} was stopped before it knew its files`),
    ),
  )
  return {
    ...running,
    ...{ hostId, port, dhtPort, scanned },
    get shards() {
      return [...shards.values()]
    },
  }
}

function uploadLimitOf({ uploadBytesPerSecond: limit }: CreateSeederOptions): number | null {
  if (limit === undefined || limit > 0) return limit ?? null
  throw new UsageError('bad-rate', 'uploadBytesPerSecond: give a number of bytes above 0, or leave it out')
}

function note(event: SeedEvent, shards: Map<string, SeededShard>): void {
  if (event.event === 'withdrawn') shards.delete(event.file)
  if (event.event !== 'seeding') return
  const { event: _, ...shard } = event
  shards.set(event.file, shard)
}

function replicateSettings(
  replicate: CreateSeederOptions['replicate'],
  fleet: FleetKey | null,
): ReplicateSettings | null {
  if (replicate === undefined || replicate === false) return null
  if (fleet?.kind !== 'keyed') {
    throw new UsageError(
      'open-fleet',
      'replicate: a host fetches from keyed fleets only; make a key with `gguf-swarm key FILE`, copy it to all hosts ' +
        'and give it as fleetKey',
    )
  }
  const { isWanted, replicas, maxBytes, minFreeBytes } = replicate === true ? {} : replicate
  return {
    isWanted: isWanted ?? (() => true),
    replicas: replicas === undefined ? null : parseReplicasOption(replicas, 'replicas'),
    maxBytes: maxBytes ?? null,
    minFreeBytes: minFreeBytes ?? null,
  }
}
