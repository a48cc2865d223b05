/** `gguf-swarm up`: bootstrap and hosts on this machine, magnets to paste, until Ctrl-C. `npm start` runs it. */

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Argv } from 'yargs'
import { DEFAULTS, parsePortOption } from '../config.ts'
import { messageOf, UsageError } from '../errors.ts'
import { LocalFleet, type LocalFleetOptions } from '../fleet/local-fleet.ts'
import { listShards } from '../library/walk.ts'
import { FolderWatcher } from '../library/watcher.ts'
import { createLog, formatBytes, type Log } from '../log.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import { Board } from './board.ts'
import { type CommandContext, jsonWriter, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { JSON_OPTION } from './options.ts'

/** More hosts than this on one machine show nothing new and only take memory (~90 MB each). */
const MAX_HOSTS = 64
const SAMPLE_SHARDS = fileURLToPath(new URL('../../fixtures/shards', import.meta.url))
/** After this long the summary comes even if a shard is still being hashed; it says so. */
const SETTLE_DEADLINE_MS = 60_000

const builder = (yargs: Argv) =>
  yargs
    .positional('dir', {
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

type UpArguments = ArgumentsOf<typeof builder>

async function runUp(args: UpArguments, context: CommandContext): Promise<void> {
  const options = fleetOptions(args, context)
  const log = createLog(context.err)
  const json = args.json ? jsonWriter(context.out) : null
  const board = new Board(options.bind === '0.0.0.0' ? '127.0.0.1' : options.bind)
  const { folder, shards } = await shardsToServe(args.dir, log)
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
  log.info(
    `[UP] ✓ Bootstrap node: DHT UDP ${formatPeerAddress(fleet.bootstrap)} (process ${fleet.pidOf('bootstrap')})`,
  )
  for (const name of fleet.hostNames) {
    log.info(`[UP] ✓ Host ${name}: BitTorrent TCP ${board.portOf(name)} (process ${fleet.pidOf(name)})`)
  }
  await fleet.deal(folder, shards)
  await using _watcher = watchFor(folder, fleet, log)
  await board.settled(
    shards.length,
    AbortSignal.any([context.signal, AbortSignal.timeout(SETTLE_DEADLINE_MS)]),
  )
  if (context.signal.aborted) return
  tellMagnets(board, fleet, shards.length, json === null ? context.out : null, log)
  await untilStopped(context.signal, new Promise(() => undefined))
}

function fleetOptions(args: UpArguments, context: CommandContext): LocalFleetOptions {
  const { hosts, bind, stateDir, torrentsDir } = args
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > MAX_HOSTS) {
    throw new UsageError('bad-hosts', `--hosts: give a number from 1 to ${MAX_HOSTS}`)
  }
  const bootstrapPort = parsePortOption(args.bootstrapPort, '--bootstrap-port')
  return { hosts, bind, stateDir, torrentsDir, bootstrapPort, self: context.self }
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

function tellMagnets(
  board: Board,
  fleet: LocalFleet,
  expected: number,
  out: CommandContext['out'] | null,
  log: Log,
): void {
  const shards = board.shards()
  for (const { host, file, length, infoHash } of shards) {
    log.info(`[UP] ${host}  ${file}  ${formatBytes(length)}  ${infoHash}`)
  }
  const unsettled = expected - shards.length
  if (unsettled > 0)
    log.info(
      `[UP] ${unsettled} of ${expected} shards are not seeded yet; see the lines above, more follow here.`,
    )
  const [first] = shards
  if (first !== undefined) {
    log.info('[UP] Fetch a shard by its infohash, found through the DHT:')
    log.info(
      `[UP]   npx . get ${first.infoHash} --bootstrap ${formatPeerAddress(fleet.bootstrap)} --out downloads`,
    )
    if (out !== null) log.info('[UP] Or paste a magnet into qBittorrent, Transmission, aria2, …:')
  }
  for (const { magnet } of shards) out?.(`${magnet}\n`)
  if (fleet.bootstrap.host.startsWith('127.')) {
    log.info(
      '[UP] Only programs on this machine can reach it; `--bind ADDRESS` with an address of your network opens it.',
    )
  }
  log.info('[UP] Everything is up. Ctrl-C stops it.')
}

/** The `up` command. */
export const upCommand = {
  command: 'up [dir]',
  describe: 'Run the whole reference configuration on this machine: bootstrap and 4 hosts',
  builder,
  run: runUp,
}
