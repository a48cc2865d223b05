/** `gguf-swarm web`: a coordinator with its page, JSON API, metrics and live feed. */
import type { Argv } from 'yargs'
import { DEFAULTS, parsePortOption } from '../config.ts'
import { type SwarmError, UsageError } from '../errors.ts'
import { Coordinator } from '../fleet/coordinator.ts'
import { fleetLabel } from '../fleet/fleet-key.ts'
import type { DhtChoice } from '../fleet/network.ts'
import type { FleetEvent } from '../fleet/status.ts'
import { createLog, type Log } from '../log.ts'
import { formatPeerAddress, peerAddress } from '../metainfo/peer-address.ts'
import { WEB_LIMITS } from '../web/limits.ts'
import { WebServer } from '../web/server.ts'
import { type CommandContext, jsonWriter, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { COORDINATOR_OPTIONS, coordinatorOptions, JSON_OPTION } from './options.ts'
import { fileShelf, SERVE_OPTIONS, sayServed } from './serve-files.ts'

const builder = (yargs: Argv) =>
  yargs
    .options({
      host: {
        type: 'string',
        default: DEFAULTS.web.host,
        requiresArg: true,
        describe: 'address the page is served at; 0.0.0.0 shows the fleet to everybody on the network',
      },
      'http-port': {
        type: 'number',
        default: DEFAULTS.web.httpPort,
        requiresArg: true,
        describe: 'port (TCP) of page, API and metrics; 0 picks a free one',
      },
      'live-port': {
        type: 'number',
        default: DEFAULTS.web.livePort,
        requiresArg: true,
        describe: 'port (TCP) of the live feed; 0 picks a free one',
      },
      'allow-host': {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'further name the page is opened by (of a proxy, say); repeatable',
      },
      ...SERVE_OPTIONS,
      ...COORDINATOR_OPTIONS,
      ...JSON_OPTION,
    } as const)
    .example('$0 web', `page on http://${DEFAULTS.web.host}:${DEFAULTS.web.httpPort}`)
    .example('$0 web --host 10.0.0.5 --allow-host models.example', 'for a network, under that name too')

type WebArguments = ArgumentsOf<typeof builder>

/** A start that goes well takes less; sooner would cry wolf. */
const ISOLATION_CHECK_MS = 3_000

/** What is worth a line in the log; the page shows the rest. */
const LOGGED: ReadonlySet<FleetEvent['kind']> = new Set([
  'host-online',
  'host-left',
  'host-lost',
  'alarm',
  'alarm-over',
])

async function runWeb(args: WebArguments, context: CommandContext): Promise<void> {
  const log = createLog(context.err)
  const address = webAddress(args)
  const options = await coordinatorOptions(args)
  const { promise: failed, resolve: fail } = Promise.withResolvers<SwarmError>()
  await using coordinator = await Coordinator.start({ ...options, onFailed: fail })
  const files = fileShelf(args)
  const source = { source: coordinator, files }
  await using server = await WebServer.start({ ...address, ...source, limits: WEB_LIMITS, log })
  const { url, liveUrl } = server
  const { fleet, coordinator: self } = coordinator.status
  const listening = { event: 'listening', ...{ url, liveUrl, hostId: self.hostId, fleet } }
  if (args.json) jsonWriter(context.out)(listening)
  else context.out(`${url}\n`)
  log.info(`[WEB] ✓ Page, API and metrics: ${url} (live feed: ${liveUrl})`)
  log.info(`[FLEET] Looking at the ${fleetLabel(options.key)}; hosts show up here as they are found`)
  if (server.isOpen) {
    log.warn(
      `[WEB] ! Everybody who can reach ${address.host}:${server.port} sees this fleet: there is no password. Keep it ` +
        'inside a network you trust, or behind a proxy that asks for one.',
    )
  }
  if (files !== null) await sayServed(files, url, args.stateDir, log)
  logEvents(coordinator, log)
  using _watch = watchIsolation(coordinator, options.dht, log)
  await untilStopped(context.signal, failed)
}

function webAddress({ host, httpPort, livePort, allowHost = [] }: WebArguments) {
  for (const name of allowHost) {
    if (peerAddress(name, 1) !== undefined) continue
    throw new UsageError(
      'bad-host',
      `--allow-host: '${name}' is not a name or an address; write it without http:// and without a port`,
    )
  }
  return {
    host,
    port: parsePortOption(httpPort, '--http-port'),
    livePort: parsePortOption(livePort, '--live-port'),
    allowHosts: allowHost,
  }
}

function logEvents(coordinator: Coordinator, log: Log): void {
  let lastId = 0
  coordinator.subscribe(() => {
    for (const { id, kind, message } of coordinator.events) {
      if (id <= lastId) continue
      lastId = id
      if (LOGGED.has(kind)) log.info(`[FLEET] ${message}`)
    }
  })
}

/** Says when no DHT node answers, and when one does again. */
function watchIsolation({ network }: Coordinator, dht: DhtChoice, log: Log): Disposable {
  let wasIsolated = false
  const where =
    dht.kind === 'public' ? 'of the public DHT' : `at ${dht.bootstrap.map(formatPeerAddress).join(', ')}`
  const timer = setInterval(() => {
    if (network.isolated === wasIsolated) return
    wasIsolated = network.isolated
    if (!wasIsolated) log.info('[DHT] ✓ A DHT node answers')
    else {
      log.warn(
        `[DHT] No DHT node ${where} answers: no host can be found. Start a bootstrap node with ` +
          '`gguf-swarm bootstrap`, or name another with --bootstrap HOST:PORT. Trying on.',
      )
    }
  }, ISOLATION_CHECK_MS)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** The `web` command. */
export const webCommand = {
  command: 'web',
  describe: 'Show the fleet: web page, JSON API, metrics and live feed',
  builder,
  run: runWeb,
}
