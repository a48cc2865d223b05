/** `gguf-swarm web`: a coordinator with its page, JSON API, metrics and live feed. */
import type { Argv } from 'yargs'
import { DEFAULTS, parsePortOption } from '../config.ts'
import type { SwarmError } from '../errors.ts'
import { Coordinator } from '../fleet/coordinator.ts'
import type { FleetEvent } from '../fleet/status.ts'
import { createLog, type Log } from '../log.ts'
import { WEB_LIMITS } from '../web/limits.ts'
import { WebServer } from '../web/server.ts'
import { type CommandContext, jsonWriter, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { COORDINATOR_OPTIONS, coordinatorOptions, JSON_OPTION } from './options.ts'

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
      ...COORDINATOR_OPTIONS,
      ...JSON_OPTION,
    } as const)
    .example('$0 web', `page on http://${DEFAULTS.web.host}:${DEFAULTS.web.httpPort}`)
    .example('$0 web --host 10.0.0.5 --allow-host models.example', 'for a network, under that name too')

type WebArguments = ArgumentsOf<typeof builder>

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
  const port = parsePortOption(args.httpPort, '--http-port')
  const livePort = parsePortOption(args.livePort, '--live-port')
  const { host, allowHost = [] } = args
  const { promise: failed, resolve: fail } = Promise.withResolvers<SwarmError>()
  await using coordinator = await Coordinator.start({ ...(await coordinatorOptions(args)), onFailed: fail })
  await using server = await WebServer.start({
    source: coordinator,
    host,
    port,
    livePort,
    allowHosts: allowHost,
    limits: WEB_LIMITS,
    log,
  })
  const { url, liveUrl } = server
  const { fleet, coordinator: self } = coordinator.status
  if (args.json)
    jsonWriter(context.out)({ event: 'listening', ...{ url, liveUrl, hostId: self.hostId, fleet } })
  else context.out(`${url}\n`)
  log.info(`[WEB] ✓ Page, API and metrics: ${url} (live feed: ${liveUrl})`)
  log.info(
    fleet.keyed
      ? '[FLEET] Looking at the keyed fleet of that key file.'
      : `[FLEET] Looking at the open fleet '${fleet.name}'.`,
  )
  if (server.isOpen) {
    log.warn(
      `[WEB] ! Everybody who can reach ${host}:${server.port} sees this fleet: there is no password. Keep it inside a ` +
        'network you trust, or behind a proxy that asks for one.',
    )
  }
  logEvents(coordinator, log)
  await untilStopped(context.signal, failed)
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

/** The `web` command. */
export const webCommand = {
  command: 'web',
  describe: 'Show the fleet: web page, JSON API, metrics and live feed',
  builder,
  run: runWeb,
}
