/**
 * `gguf-swarm up`: bootstrap, page and hosts on this machine, every shard on every host, verified; until Ctrl-C.
 * `npm start` runs it.
 */

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Argv } from 'yargs'
import { DEFAULTS, parsePortOption } from '../config.ts'
import { messageOf, UsageError } from '../errors.ts'
import { LocalFleet, type LocalFleetOptions } from '../fleet/local-fleet.ts'
import { createKeyFile, loadKeyFile } from '../fleet/membership/fleet-key.ts'
import { listShards } from '../library/walk.ts'
import { FolderWatcher } from '../library/watcher.ts'
import { formatBytes, type Log } from '../log.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import { Board } from './board.ts'
import { type CommandContext, jsonWriter, until, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { JSON_OPTION } from './options.ts'
import { verifyLocal } from './up-verify.ts'

/** More hosts than this on one machine show nothing new and only take memory (~90 MB each). */
const MAX_HOSTS = 64
const IS_CHECKOUT = import.meta.url.endsWith('.ts')
const SAMPLE_SHARDS = fileURLToPath(
  new URL(IS_CHECKOUT ? '../../fixtures/shards' : './sample', import.meta.url),
)
/** How this program is called. */
const PROGRAM = IS_CHECKOUT ? 'npx .' : 'gguf-swarm'
/** Without a new copy for so long, what is there is verified as it is, and the table says what is missing. */
const STALLED_MS = 60_000
const builder = (yargs: Argv) =>
  yargs
    .positional('folder', {
      type: 'string',
      default: DEFAULTS.shardsDir,
      describe: 'folder with .gguf files; when empty, the sample model',
    })
    .options({
      hosts: { type: 'number', default: 4, requiresArg: true, describe: 'how many hosts to start' },
      bind: {
        type: 'string',
        default: '127.0.0.1',
        requiresArg: true,
        describe: 'IPv4 address of this machine to listen on',
      },
      'bootstrap-port': {
        type: 'number',
        default: DEFAULTS.bootstrap.port,
        requiresArg: true,
        describe: 'DHT port (UDP) of the bootstrap node',
      },
      'http-port': {
        type: 'number',
        default: DEFAULTS.web.httpPort,
        requiresArg: true,
        describe: 'port (TCP) of page, API and metrics',
      },
      'live-port': {
        type: 'number',
        default: DEFAULTS.web.livePort,
        requiresArg: true,
        describe: 'port (TCP) of the live feed',
      },
      'fleet-key': {
        type: 'string',
        default: DEFAULTS.fleetKey,
        requiresArg: true,
        describe: 'key file of the fleet; made when it is not there',
      },
      report: {
        type: 'string',
        requiresArg: true,
        describe: 'write the test report (Markdown) to this file',
      },
      'state-dir': {
        type: 'string',
        default: 'models_cache/up',
        requiresArg: true,
        describe: 'folder for the state of all of them',
      },
      'torrents-dir': {
        type: 'string',
        default: DEFAULTS.torrentsDir,
        requiresArg: true,
        describe: 'folder for .torrent files',
      },
      ...JSON_OPTION,
    } as const)
    .example('$0 up', 'share models_cache/shards, or the sample model, from four hosts')
    .example('$0 up ~/models --hosts 2 --report report.md', 'two hosts; write down what was verified')

type UpArguments = ArgumentsOf<typeof builder>

async function runUp(args: UpArguments, context: CommandContext): Promise<void> {
  const { log } = context
  const json = args.json ? jsonWriter(context.out) : null
  const { folder, shards } = await shardsToServe(args.folder, log)
  const options = await fleetOptions(args, shards, context)
  const board = new Board(options.bind === '0.0.0.0' ? '127.0.0.1' : options.bind)
  await using fleet = await LocalFleet.start(options, {
    onHostEvent: (host, event) => {
      json?.({ ...event, ...{ host } })
      const line = board.hostEvent(host, event)
      if (line !== null) log.info(line)
    },
    onDied: (name, how) => {
      log.warn(
        `[UP] ✗ ${name} ended (${how}). The others go on; Ctrl-C and start again to have all of them back.`,
      )
    },
  })
  tellProcesses(fleet, board, log)
  json?.({ event: 'listening', ...fleet.page })
  await fleet.deal(folder, shards)
  await using _watcher = watchFor(folder, fleet, log)
  await untilCopied(board, { hosts: options.hosts, shards: shards.length }, log, context.signal)
  if (context.signal.aborted) return
  await verifyLocal({ fleet, board, options, report: args.report ?? null, json }, context)
  if (context.signal.aborted) return
  tellMagnets(board, fleet, accessTo(fleet, options), json === null ? context.out : null, log)
  await untilStopped(context.signal, new Promise(() => undefined))
}

async function fleetOptions(
  args: UpArguments,
  shards: readonly string[],
  context: CommandContext,
): Promise<LocalFleetOptions> {
  const { hosts, bind, stateDir, torrentsDir, fleetKey: keyFile } = args
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > MAX_HOSTS) {
    throw new UsageError('bad-hosts', `--hosts: give a number from 1 to ${MAX_HOSTS}`)
  }
  const bootstrapPort = parsePortOption(args.bootstrapPort, '--bootstrap-port')
  const httpPort = parsePortOption(args.httpPort, '--http-port')
  const livePort = parsePortOption(args.livePort, '--live-port')
  await createKeyFile(keyFile).catch(async (error: unknown) => {
    if (!(error instanceof UsageError)) throw error
    await loadKeyFile(keyFile) // it is there: the fleet of the last run, if it is a key
  })
  const ports = { bootstrapPort, httpPort, livePort }
  return { hosts, bind, stateDir, torrentsDir, ...ports, keyFile, shards, self: context.self }
}

function tellProcesses(fleet: LocalFleet, board: Board, log: Log): void {
  const pid = (name: string): string => `(process ${fleet.pidOf(name)})`
  log.info(`[UP] ✓ Bootstrap node: DHT UDP ${formatPeerAddress(fleet.bootstrap)} ${pid('bootstrap')}`)
  for (const name of fleet.hostNames) {
    log.info(`[UP] ✓ Host ${name}: BitTorrent TCP ${board.portOf(name)} ${pid(name)}`)
  }
  log.info(`[UP] ✓ Page: ${fleet.page.url} ${pid('web')}`)
}

/** Waits until every host has every shard that is fit to be seeded, and the DHT knows it. */
async function untilCopied(
  board: Board,
  { hosts, shards }: { readonly hosts: number; readonly shards: number },
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const wanted = (): number => hosts * board.shards().length
  let told = -1
  let changedAt = performance.now()
  const isDone = (): boolean => {
    if (board.copies !== told) {
      told = board.copies
      changedAt = performance.now()
      if (told > 0) log.info(`[UP] ${told} of ${wanted()} copies`)
    }
    return board.decided >= shards && told === wanted()
  }
  await until(() => isDone() || performance.now() - changedAt > STALLED_MS, signal)
  if (signal.aborted || isDone()) return
  log.warn(
    `[UP] ✗ No new copy for ${STALLED_MS / 1000} s: ${told} of ${wanted()} are there, ${board.decided} of ${shards} ` +
      'shards are decided. What is there is verified now.',
  )
}

/** The shards of the folder, or the sample model while it is empty. */
async function shardsToServe(dir: string, log: Log): Promise<{ folder: string; shards: readonly string[] }> {
  const folder = resolve(dir)
  const own = await listShards(folder, log.warn).catch((error: unknown) => {
    if (dir === DEFAULTS.shardsDir) return [] // a fresh checkout need not have it
    throw error
  })
  if (own.length > 0) return { folder, shards: own }
  log.info(
    `[UP] ${dir} holds no .gguf file, so the sample model is shared. Put your own there and start again.`,
  )
  return { folder: SAMPLE_SHARDS, shards: await listShards(SAMPLE_SHARDS, log.warn) }
}

/** Files that show up in the folder later are dealt out too. */
function watchFor(folder: string, fleet: LocalFleet, log: Log): AsyncDisposable {
  let dealing = Promise.resolve()
  const watcher = new FolderWatcher({
    root: folder,
    log,
    onDirty: () => {
      dealing = dealing
        .then(async () => fleet.deal(folder, await listShards(folder, log.warn)))
        .catch((error: unknown) => log.warn(`[UP] ${messageOf(error)}`))
    },
  })
  watcher.start()
  return {
    [Symbol.asyncDispose]: async () => {
      await watcher.stop()
      await dealing
    },
  }
}

/** Options, each with a space before it, that other commands need to reach this fleet; none where the defaults do. */
interface Access {
  readonly dht: string
  readonly fleet: string
}

function accessTo({ bootstrap }: LocalFleet, { keyFile }: LocalFleetOptions): Access {
  const address = formatPeerAddress(bootstrap)
  const dht = address === formatPeerAddress(DEFAULTS.bootstrap) ? '' : ` --bootstrap ${address}`
  return { dht, fleet: keyFile === DEFAULTS.fleetKey ? dht : `${dht} --fleet-key ${keyFile}` }
}

function tellMagnets(
  board: Board,
  fleet: LocalFleet,
  access: Access,
  out: CommandContext['out'] | null,
  log: Log,
): void {
  const shards = board.shards()
  for (const { file, length, infoHash } of shards)
    log.info(`[UP] ${file}  ${formatBytes(length)}  ${infoHash}`)
  const [first] = shards
  if (first !== undefined) {
    log.info(
      '[UP] Fetch a shard by its name in the fleet, or by its infohash from the DHT; see who has what:',
    )
    log.info(`[UP]   ${PROGRAM} get ${first.file}${access.fleet} --out downloads`)
    log.info(`[UP]   ${PROGRAM} get ${first.infoHash}${access.dht} --out downloads`)
    log.info(`[UP]   ${PROGRAM} status${access.fleet}`)
    if (out !== null) log.info('[UP] Or paste a magnet into qBittorrent, Transmission, aria2, …:')
  }
  for (const { magnet } of shards) out?.(`${magnet}\n`)
  if (fleet.bootstrap.host.startsWith('127.')) {
    log.info(
      '[UP] Only programs on this machine can reach it; `--bind ADDRESS` with an address of your network opens it.',
    )
  }
  log.info(`[UP] See it live: ${fleet.page.url}`)
  log.info('[UP] Everything is up. Ctrl-C stops it.')
}

/** The `up` command. */
export const upCommand = {
  command: 'up [folder]',
  describe: 'Run the whole reference configuration on this machine: bootstrap, page and 4 hosts; verify it',
  builder,
  run: runUp,
}
