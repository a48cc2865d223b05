/** Options that several commands share, and how they become complete settings. */
import { DEFAULTS, parseAddressOption, parsePortOption, parseReplicasOption } from '../config.ts'
import { UsageError } from '../errors.ts'
import type { CoordinatorOptions } from '../fleet/coordinator.ts'
import { chooseFleet } from '../fleet/membership/fleet-key.ts'
import { requireFleet } from '../fleet/membership/fleet-member.ts'
import type { DhtChoice, PortChoice } from '../fleet/network.ts'
import { GROUP } from '../manual/shared.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'

/** Where to listen. */
export const LISTEN_OPTIONS = {
  bind: {
    type: 'string',
    default: DEFAULTS.bind,
    requiresArg: true,
    group: GROUP.network,
    describe: 'IPv4 address to listen on',
  },
  port: {
    type: 'number',
    requiresArg: true,
    group: GROUP.network,
    describe: 'BitTorrent port (TCP); 0 picks a free one',
    defaultDescription: 'a free one',
  },
  'dht-port': {
    type: 'number',
    requiresArg: true,
    group: GROUP.network,
    describe: 'DHT port (UDP); 0 picks a free one',
    defaultDescription: 'a free one',
  },
} as const

/** Positional of who seeds. */
export const SHARD_FOLDERS = {
  type: 'string',
  array: true,
  describe: 'folder with .gguf files; repeatable',
  defaultDescription: DEFAULTS.shardsDir,
} as const

/** What a host is, wherever it listens. */
export const HOST_OPTIONS = {
  'state-dir': {
    type: 'string',
    default: DEFAULTS.stateDir,
    requiresArg: true,
    describe: 'folder for identity and records',
  },
  'torrents-dir': {
    type: 'string',
    default: DEFAULTS.torrentsDir,
    requiresArg: true,
    describe: 'folder for .torrent files',
  },
  'max-conns': {
    type: 'number',
    default: DEFAULTS.maxConns,
    requiresArg: true,
    describe: 'connections at once',
  },
  advertise: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'HOST:PORT others reach this host at; added to magnets (x.pe); repeatable',
  },
} as const

/** Which DHT. One value each time: `get --bootstrap HOST:PORT NAME` has a name behind it. */
export const DHT_OPTIONS = {
  bootstrap: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    group: GROUP.network,
    describe: "HOST:PORT of a private DHT's bootstrap node; repeatable",
    defaultDescription: formatPeerAddress(DEFAULTS.bootstrap),
  },
  public: {
    type: 'boolean',
    default: false,
    group: GROUP.network,
    describe: 'join the public (mainline) DHT instead',
  },
} as const

/** Which fleet. */
export const FLEET_OPTIONS = {
  fleet: {
    type: 'string',
    requiresArg: true,
    group: GROUP.fleet,
    describe: 'name of an open fleet',
    defaultDescription: `"${DEFAULTS.fleet}", in a private DHT`,
  },
  'fleet-key': {
    type: 'string',
    requiresArg: true,
    group: GROUP.fleet,
    describe: 'key file of a keyed fleet',
    defaultDescription: `${DEFAULTS.fleetKey}, where there is one`,
  },
} as const

/** Of each of these only one can be given; whichever a higher place gives silences the other in lower ones. */
export const ALTERNATIVES: readonly (readonly string[])[] = [
  ['bootstrap', 'public'],
  ['fleet', 'fleet-key'],
]

/** What a process that only looks at a fleet takes. */
export const COORDINATOR_OPTIONS = {
  ...LISTEN_OPTIONS,
  ...DHT_OPTIONS,
  ...FLEET_OPTIONS,
  replicas: {
    type: 'number',
    default: DEFAULTS.replicas,
    requiresArg: true,
    group: GROUP.fleet,
    describe: 'whole copies every shard should have; fewer raise an alarm',
  },
} as const

/** Events for programs. */
export const JSON_OPTION = {
  json: {
    type: 'boolean',
    default: false,
    group: GROUP.output,
    describe: 'print newline-delimited JSON events on stdout',
  },
} as const

/**
 * The DHT that the options ask for.
 * @throws {UsageError} `bad-address`, or `both-dhts` when both are asked for
 */
export function dhtChoice(bootstrap: readonly string[] | undefined, isPublic: boolean): DhtChoice {
  if (!isPublic) {
    const named = (bootstrap ?? []).map((text) => parseAddressOption(text, '--bootstrap'))
    return { kind: 'private', bootstrap: named.length > 0 ? named : [DEFAULTS.bootstrap] }
  }
  if (bootstrap === undefined) return { kind: 'public' }
  throw new UsageError(
    'both-dhts',
    '--bootstrap joins a private DHT and --public the public one; give one of them',
  )
}

/** The values of {@link COORDINATOR_OPTIONS}. */
export interface CoordinatorArguments {
  readonly bind: string
  readonly port?: number | undefined
  readonly dhtPort?: number | undefined
  readonly bootstrap?: readonly string[] | undefined
  readonly public: boolean
  readonly fleet?: string | undefined
  readonly fleetKey?: string | undefined
  readonly replicas: number
}

/**
 * Complete settings of a coordinator.
 * @throws {UsageError} for values that cannot be; {@link FailedError} `no-fleet`
 */
export async function coordinatorOptions(args: CoordinatorArguments): Promise<CoordinatorOptions> {
  const { bind, fleet, fleetKey, replicas } = args
  const dht = dhtChoice(args.bootstrap, args.public)
  const wantedReplicas = parseReplicasOption(replicas, '--replicas')
  return {
    bind,
    port: portChoice(args.port, '--port'),
    dhtPort: portChoice(args.dhtPort, '--dht-port'),
    dht,
    key: requireFleet(await chooseFleet({ fleet, fleetKey, dht })),
    wantedReplicas,
    watchesSwarms: true,
  }
}

/** A port that was asked for, or any free one. */
export function portChoice(port: number | undefined, option: string): PortChoice {
  return { port: port === undefined ? 0 : parsePortOption(port, option), required: port !== undefined }
}
