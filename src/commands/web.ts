/** `gguf-swarm web`: a coordinator with its page, JSON API, metrics and live feed. */
import type { Argv } from 'yargs'
import { DEFAULTS, parsePortOption } from '../config.ts'
import { type SwarmError, UsageError } from '../errors.ts'
import { Coordinator } from '../fleet/coordinator.ts'
import { fleetLabel } from '../fleet/membership/fleet-key.ts'
import type { DhtChoice } from '../fleet/network.ts'
import type { FleetEvent } from '../fleet/status.ts'
import type { Log } from '../log.ts'
import { formatPeerAddress, peerAddress } from '../metainfo/peer-address.ts'
import { WEB_LIMITS } from '../web/limits.ts'
import type { WebServer } from '../web/server.ts'
import { ALLOW_OPTIONS, allowedPeers, tellStrangers } from './allow.ts'
import { type CommandContext, jsonWriter, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { keepNames } from './known-names.ts'
import { COORDINATOR_OPTIONS, coordinatorOptions, JSON_OPTION } from './options.ts'
import { fileShelf, SERVE_OPTIONS, sayServed } from './serve-files.ts'
import { TOKEN_OPTIONS, type TokenInFile, webToken } from './web-token.ts'

const builder = (yargs: Argv) =>
  yargs
    .options({
      host: {
        type: 'string',
        default: DEFAULTS.web.host,
        requiresArg: true,
        describe:
          'address the page is served at; 0.0.0.0 shows it to everybody on the network who has the token',
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
      ...ALLOW_OPTIONS,
      ...TOKEN_OPTIONS,
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
  const { log } = context
  const address = webAddress(args)
  const options = await coordinatorOptions(args)
  const allowed = allowedPeers(args, options)
  const key = await webToken(args)
  const { promise: failed, resolve: fail } = Promise.withResolvers<SwarmError>()
  await using coordinator = await Coordinator.start({ ...options, allowed, onFailed: fail })
  const files = fileShelf(args)
  // No other command needs Node's HTTP server, which takes a tenth of the time of a start.
  const { WebServer } = await import('../web/server.ts')
  await using server = await WebServer.start({
    ...address,
    source: coordinator,
    files,
    limits: WEB_LIMITS,
    log,
    token: key?.token ?? null,
    ...(allowed && { admits: (host) => allowed.admits(host, 'connections') }),
  })
  const { url, liveUrl } = server
  const { fleet, coordinator: self } = coordinator.status
  const listening = {
    event: 'listening',
    ...{ url, liveUrl, hostId: self.hostId, fleet, tokenFile: key?.file ?? null },
  }
  if (args.json) jsonWriter(context.out)(listening)
  else context.out(`${link(server, key, context.terminal !== null)}\n`)
  log.info(`[WEB] ✓ Page, API and metrics: ${url} (live feed: ${liveUrl})`)
  log.info(`[FLEET] Looking at the ${fleetLabel(options.key)}; hosts show up here as they are found`)
  if (key !== null) {
    log.info(
      `[WEB] Requests need the token in ${key.file}: open ${url}/?token=TOKEN once in each browser; programs send ` +
        'Authorization: Bearer TOKEN',
    )
  }
  if (server.isOpen) {
    log.warn(
      `[WEB] ! Others can reach ${address.host}:${server.port}, and HTTP is not encrypted: whoever can listen on the way ` +
        'reads the token. Outside a network you trust, use an SSH tunnel or a proxy with TLS.',
    )
  }
  if (files !== null) await sayServed(files, url, args.stateDir, log)
  logEvents(coordinator, log)
  using _strangers = tellStrangers(allowed, log)
  using _watch = watchIsolation(coordinator, options.dht, log)
  using _names = keepNames(options.key, () => coordinator.status.shards, { isPart: false })
  await untilStopped(context.signal, failed)
}

/** The token goes to the screen of whoever starts the server, and into no log. */
function link({ url }: WebServer, key: TokenInFile | null, isOnScreen: boolean): string {
  return key === null || !isOnScreen ? url : `${url}/?token=${encodeURIComponent(key.token)}`
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
