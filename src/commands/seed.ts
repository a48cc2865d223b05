/** `gguf-swarm seed [dir..]`: flags to a host, its events to JSON or to the log lines of the report. */
import { hostname } from 'node:os'
import { basename } from 'node:path'
import type { Argv } from 'yargs'
import {
  parseAddressOption,
  parseHostNameOption,
  parseMaxConnsOption,
  parsePortOption,
  parseRateOption,
} from '../config.ts'
import type { SwarmError } from '../errors.ts'
import type { SeedEvent } from '../fleet/events.ts'
import { chooseFleet, fleetLabel } from '../fleet/membership/fleet-key.ts'
import { Seeder, type SeederListener, type SeederOptions } from '../fleet/seeder.ts'
import { formatBytes, type Log } from '../log.ts'
import { GROUP } from '../manual/shared.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import { ALLOW_OPTIONS, allowedPeers, tellStrangers } from './allow.ts'
import { type CommandContext, jsonWriter, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { HostShards, keepNames } from './known-names.ts'
import {
  DHT_OPTIONS,
  dhtChoice,
  FLEET_OPTIONS,
  HOST_OPTIONS,
  JSON_OPTION,
  LISTEN_OPTIONS,
  SHARD_FOLDERS,
} from './options.ts'
import { foldersToSeed, PLACES_OPTIONS } from './places.ts'
import { RECHECK_OPTIONS, recheckedLine, recheckRate } from './recheck.ts'
import { REPLICATE_OPTIONS, replicateLine, replicateSettings, replicationLine } from './replicate.ts'
import { MIRROR_OPTIONS, mirrorUrls } from './web-seeds.ts'

/** Least time between two lines about the routing table. */
const ROUTING_LINE_MS = 10_000

/** A host keeps its ports: magnets and other programs name them. */
const LAST_PORT = { defaultDescription: 'the last one, else a free one' } as const

const OPTIONS = {
  ...LISTEN_OPTIONS,
  port: { ...LISTEN_OPTIONS.port, ...LAST_PORT },
  'dht-port': { ...LISTEN_OPTIONS['dht-port'], ...LAST_PORT },
  ...DHT_OPTIONS,
  ...FLEET_OPTIONS,
  ...PLACES_OPTIONS,
  ...MIRROR_OPTIONS,
  ...REPLICATE_OPTIONS,
  ...RECHECK_OPTIONS,
  ...ALLOW_OPTIONS,
  name: {
    type: 'string',
    requiresArg: true,
    group: GROUP.fleet,
    describe: 'what this host is called in its fleet',
    defaultDescription: "this machine's name",
  },
  ...HOST_OPTIONS,
  'upload-limit': { type: 'string', requiresArg: true, describe: 'bytes a second over all peers, like 10M' },
  ...JSON_OPTION,
} as const

const builder = (yargs: Argv) =>
  yargs
    .positional('dir', SHARD_FOLDERS)
    .options(OPTIONS)
    .example('$0 seed ~/models', 'seed every whole .gguf file under ~/models')
    .example('$0 seed ~/models --bootstrap 10.0.0.1:51820', 'in the private DHT of that bootstrap node')
    .example('$0 seed --from huggingface,lmstudio,ollama', 'what these programs have downloaded')
    .example(
      "$0 seed --replicate --want 'Llama-3*' --replicas 2",
      'and fetch from the fleet what has fewer than 2 copies',
    )

type SeedArguments = ArgumentsOf<typeof builder>

async function runSeed(args: SeedArguments, context: CommandContext): Promise<void> {
  const options = await seederOptions(args)
  const { log } = context
  const { promise: failed, resolve: fail } = Promise.withResolvers<SwarmError>()
  const listener = args.json ? jsonListener(context, log) : logListener(context, log)
  const tellHost = fleetLine(log)
  const known = new HostShards()
  const told: SeederListener = {
    ...listener,
    onEvent: (event) => {
      listener.onEvent(event)
      known.onEvent(event)
    },
    onIsolated: (isolated) => tellIsolated(isolated, options, log),
    onFleetHost: (host, change) => {
      tellHost(host, change)
      known.onHost(host, change)
    },
    onFailed: fail,
  }
  if (options.fleet !== null) log.info(`[FLEET] Member of the ${fleetLabel(options.fleet)}`)
  if (options.replicate !== null) log.info(replicateLine(args))
  using _strangers = tellStrangers(options.allowed, log)
  await using _seeder = await Seeder.start(options, told, log)
  using _names = options.fleet && keepNames(options.fleet, () => known.shards(), { isPart: true })
  await untilStopped(context.signal, failed)
}

async function seederOptions(args: SeedArguments): Promise<SeederOptions> {
  const maxConns = parseMaxConnsOption(args.maxConns, '--max-conns')
  const dht = dhtChoice(args.bootstrap, args.public)
  const { fleet, fleetKey } = args
  const key = await chooseFleet({ fleet, fleetKey, dht })
  return {
    folders: await foldersToSeed(args.dir, args.from),
    stateDir: args.stateDir,
    torrentsDir: args.torrentsDir,
    bind: args.bind,
    port: args.port === undefined ? null : parsePortOption(args.port, '--port'),
    dhtPort: args.dhtPort === undefined ? null : parsePortOption(args.dhtPort, '--dht-port'),
    dht,
    webSeeds: mirrorUrls(args.webSeed),
    advertise: (args.advertise ?? []).map((text) => parseAddressOption(text, '--advertise')),
    uploadLimit: args.uploadLimit === undefined ? null : parseRateOption(args.uploadLimit, '--upload-limit'),
    maxConns,
    fleet: key,
    name: parseHostNameOption(args.name ?? hostname(), '--name'),
    replicate: replicateSettings(args, key),
    recheckRate: recheckRate(args),
    allowed: allowedPeers(args, { dht }),
  }
}

function tellIsolated(isolated: boolean, { dht }: SeederOptions, log: Log): void {
  if (!isolated) {
    log.info('[DHT] ✓ A DHT node answers; announcing now')
    return
  }
  const state = 'nobody can find this host yet. It keeps serving and keeps trying.'
  if (dht.kind === 'public') {
    log.warn(
      `[DHT] No router of the public DHT answers: ${state} Check that UDP and DNS get out of this network.`,
    )
    return
  }
  log.warn(
    `[DHT] No DHT node answers at ${dht.bootstrap.map(formatPeerAddress).join(', ')}: ${state} Start a bootstrap ` +
      'node with `gguf-swarm bootstrap`, name another with --bootstrap HOST:PORT, or use --public.',
  )
}

type EventListener = Omit<SeederListener, 'onFailed' | 'onIsolated'>

function jsonListener(context: CommandContext, log: Log): EventListener {
  const write = jsonWriter(context.out)
  return {
    onEvent: (event) => {
      write(event)
      if (event.event === 'error') log.warn(event.message)
    },
  }
}

/** The log lines of the old report, each printed only after what it says is true. */
function logListener(context: CommandContext, log: Log): EventListener {
  const names = new Map<string, string>()
  const registered = new Set<string>()
  let scanned = false
  const tellAllRegistered = (): void => {
    // Before the scan is over, more may come: the first of four is not all of them.
    if (scanned && names.size > 0 && registered.size === names.size)
      log.info('[TORRENT] ✓ All torrent files registered in DHT - auto-propagation enabled')
  }
  const onEvent = (event: SeedEvent): void => {
    switch (event.event) {
      case 'listening':
        log.info(
          `[HOST] Listening: BitTorrent TCP ${event.port}, DHT UDP ${event.dhtPort} (host id: ${event.hostId})`,
        )
        break
      case 'hashing':
        log.info(`[TORRENT] Hashing: ${event.file} (${formatBytes(event.length)})`)
        break
      case 'seeding':
        names.set(event.infoHash, labelOf(event))
        log.info(`[TORRENT] ✓ Seeding primary shard: ${labelOf(event)} (hash: ${event.infoHash})`)
        context.out(`${event.magnet}\n`)
        break
      case 'announced':
        if (tellRegistered(event.infoHash, names, registered, log)) tellAllRegistered()
        break
      case 'rejected':
        log.warn(`[TORRENT] ✗ Not seeding ${event.file}: ${event.reason}`)
        break
      case 'duplicate':
        log.info(
          `[TORRENT] Same file: ${event.file} is ${event.of} (hash: ${event.infoHash}); one torrent serves both`,
        )
        break
      case 'waiting':
        log.info(`[TORRENT] Waiting for ${event.file}: ${event.reason}`)
        break
      case 'withdrawn':
        names.delete(event.infoHash)
        registered.delete(event.infoHash)
        log.warn(`[TORRENT] Withdrawn: ${event.file} (hash: ${event.infoHash}): ${event.reason}`)
        break
      case 'replicating':
      case 'replicated':
      case 'not-replicated':
        log.info(replicationLine(event))
        break
      case 'rechecked':
        log.info(recheckedLine(event))
        break
      case 'error':
        log.warn(`[HOST] ${event.message}`)
        break
    }
  }
  return {
    onEvent,
    onRouting: routingLine(log),
    onRegistering: (count) =>
      log.info(`[TORRENT] Registering ${count} torrent file(s) in DHT for auto-propagation...`),
    onScanned: ({ files, seeding }) => {
      if (files > 0) log.info(`[TORRENT] Primary shards (0-${files - 1}): ${seeding}/${files} seeded`)
      log.info(`[TORRENT] Total files available for seeding: ${seeding}`)
      scanned = true
      tellAllRegistered()
    },
  }
}

/** The file, and its torrent's name where that is another: a blob says nothing. */
const labelOf = ({ file, name }: { readonly file: string; readonly name: string }): string =>
  basename(file) === name ? file : `${name} (${file})`

/** Hosts that come and go. */
function fleetLine(log: Log): NonNullable<SeederListener['onFleetHost']> {
  return ({ info: { name }, address }, change) => {
    if (change === 'online') log.info(`[FLEET] ✓ Met host ${name} (${address})`)
    if (change === 'left') log.info(`[FLEET] Host ${name} left`)
    if (change === 'lost') log.warn(`[FLEET] ✗ Host ${name} (${address}) is lost`)
  }
}

/** A table fills with many nodes at once, the public one with hundreds: one line says it for all of them. */
export function routingLine(log: Log): (nodeId: string) => void {
  let saidAt = Number.NEGATIVE_INFINITY
  return (nodeId) => {
    if (performance.now() - saidAt < ROUTING_LINE_MS) return
    saidAt = performance.now()
    log.info(`[DHT] Routing updated: ${nodeId}`)
  }
}

/** True when the registration is news. */
function tellRegistered(
  infoHash: string,
  names: ReadonlyMap<string, string>,
  registered: Set<string>,
  log: Log,
): boolean {
  const name = names.get(infoHash)
  if (name === undefined || registered.has(infoHash)) return false // a re-announce is no news
  registered.add(infoHash)
  log.info(`[TORRENT] ✓ Registered torrent file in DHT: ${name} (hash: ${infoHash})`)
  return true
}

/** The `seed` command. */
export const seedCommand = {
  command: 'seed [dir..]',
  describe: 'Seed every whole GGUF file of some folders, and those that show up later',
  builder,
  run: runSeed,
}
