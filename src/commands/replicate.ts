/** The options of `seed --replicate`, and its log lines. */
import { parseReplicasOption, parseSizeOption } from '../config.ts'
import { UsageError } from '../errors.ts'
import type { ReplicationEvent } from '../fleet/events.ts'
import type { FleetKey } from '../fleet/membership/fleet-key.ts'
import { compileGlob } from '../fleet/replication/glob.ts'
import type { ReplicateSettings } from '../fleet/replication/replication-policy.ts'
import { formatBytes } from '../log.ts'
import { GROUP } from '../manual/shared.ts'

export const REPLICATE_OPTIONS = {
  replicate: {
    type: 'boolean',
    default: false,
    group: GROUP.replication,
    describe: 'fetch what the fleet has and this host lacks, and seed it too',
  },
  want: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    group: GROUP.replication,
    describe: "only shards or models of this name, like 'Llama-3*'; repeatable",
  },
  replicas: {
    type: 'number',
    requiresArg: true,
    group: GROUP.replication,
    describe: 'only shards with fewer whole copies in the fleet',
    defaultDescription: 'fetch everything',
  },
  'max-bytes': {
    type: 'string',
    requiresArg: true,
    group: GROUP.replication,
    describe: 'keep no more of replicated files than this, like 500G',
  },
  'min-free': {
    type: 'string',
    requiresArg: true,
    group: GROUP.replication,
    describe: 'leave so much of the disk free; 16 MiB is kept in any case',
    defaultDescription: '5 % of it, at most 10 GB',
  },
  'trust-open-fleet': {
    type: 'boolean',
    default: false,
    group: GROUP.replication,
    describe: 'also in a fleet without a key, where anybody can offer anything',
  },
} as const

/** The values of {@link REPLICATE_OPTIONS}. */
export interface ReplicateArguments {
  readonly replicate: boolean
  readonly want?: readonly string[] | undefined
  readonly replicas?: number | undefined
  readonly maxBytes?: string | undefined
  readonly minFree?: string | undefined
  readonly trustOpenFleet: boolean
}

/**
 * What the options ask for; null without `--replicate`.
 * @throws {UsageError} for values that cannot be, options that need `--replicate`, and a fleet that is not to be trusted
 */
export function replicateSettings(
  args: ReplicateArguments,
  fleet: FleetKey | null,
): ReplicateSettings | null {
  const { replicate, want, replicas, maxBytes, minFree, trustOpenFleet } = args
  if (!replicate) return refuseWithout(args)
  if (fleet === null) {
    throw new UsageError(
      'no-fleet',
      '--replicate: there is no fleet to fetch from; name it with --fleet-key FILE (`gguf-swarm key` makes a key)',
    )
  }
  if (fleet.kind === 'open' && !trustOpenFleet) {
    throw new UsageError(
      'open-fleet',
      `--replicate: everybody who knows the name '${fleet.name}' can offer files that this host would fetch and pass on. ` +
        'Make a key with `gguf-swarm key FILE`, copy it to all hosts and give it with --fleet-key FILE, or say that ' +
        'everybody who can reach this fleet is to be trusted with --trust-open-fleet',
    )
  }
  const globs = (want ?? []).map((pattern) => compileGlob(pattern, '--want'))
  return {
    isWanted: (name) => globs.length === 0 || globs.some((matches) => matches(name)),
    replicas: replicas === undefined ? null : parseReplicasOption(replicas, '--replicas'),
    maxBytes: maxBytes === undefined ? null : parseSizeOption(maxBytes, '--max-bytes'),
    minFreeBytes: minFree === undefined ? null : parseSizeOption(minFree, '--min-free'),
  }
}

function refuseWithout({ want, replicas, maxBytes, minFree, trustOpenFleet }: ReplicateArguments): null {
  const given = Object.entries({
    '--want': want,
    '--replicas': replicas,
    '--max-bytes': maxBytes,
    '--min-free': minFree,
    '--trust-open-fleet': trustOpenFleet || undefined,
  }).flatMap(([option, value]) => (value === undefined ? [] : option))
  if (given.length === 0) return null
  throw new UsageError('not-replicating', `${given.join(', ')}: of use with --replicate only; add it`)
}

/** What is going to be fetched, in a line. */
export function replicateLine({ want, replicas, maxBytes }: ReplicateArguments): string {
  const what =
    want === undefined ? 'everything' : `what matches ${want.map((glob) => `'${glob}'`).join(' or ')}`
  const upTo =
    replicas === undefined ? '' : `, up to ${replicas} whole cop${replicas === 1 ? 'y' : 'ies'} of each`
  const most = maxBytes === undefined ? '' : `, at most ${maxBytes}`
  return `[FLEET] Replicating ${what} that the fleet has${upTo}${most}`
}

/** The line of an event. */
export function replicationLine(event: ReplicationEvent): string {
  const { infoHash } = event
  switch (event.event) {
    case 'replicating': {
      const copies = `${event.copies} whole cop${event.copies === 1 ? 'y' : 'ies'}`
      return `[TORRENT] Replicating ${event.name} (${formatBytes(event.length)}, ${copies}, hash: ${infoHash})`
    }
    case 'replicated':
      return `[TORRENT] ✓ Replicated ${event.file} (hash: ${infoHash})`
    case 'not-replicated':
      return `[TORRENT] ✗ Not replicating ${event.name} (hash: ${infoHash}): ${event.reason}`
  }
}
