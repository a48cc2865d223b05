/** `gguf-swarm bootstrap`: the fleet's own DHT bootstrap node, and how each client is told to use it. */
import type { Argv } from 'yargs'
import { DEFAULTS, parsePortOption } from '../config.ts'
import { messageOf } from '../errors.ts'
import { BootstrapNode } from '../fleet/bootstrap.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import { addressOf } from '../swarm/address.ts'
import { ALLOW_OPTIONS, allowedPeers, tellStrangers } from './allow.ts'
import { type CommandContext, jsonWriter, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { JSON_OPTION, LISTEN_OPTIONS } from './options.ts'
import { recipes } from './recipes.ts'
import { routingLine } from './seed.ts'

const builder = (yargs: Argv) =>
  yargs
    .options({
      bind: LISTEN_OPTIONS.bind,
      port: {
        type: 'number',
        default: DEFAULTS.bootstrap.port,
        requiresArg: true,
        describe: 'DHT port (UDP); 0 picks a free one',
      },
      'state-dir': {
        type: 'string',
        default: DEFAULTS.bootstrapStateDir,
        requiresArg: true,
        describe: 'folder for node id and routing table',
      },
      ...ALLOW_OPTIONS,
      ...JSON_OPTION,
    } as const)
    .example('$0 bootstrap', `a bootstrap node on UDP ${DEFAULTS.bootstrap.port}`)

type BootstrapArguments = ArgumentsOf<typeof builder>

async function runBootstrap(args: BootstrapArguments, context: CommandContext): Promise<void> {
  const { bind, stateDir } = args
  const { log } = context
  const allowed = allowedPeers(args)
  const options = { bind, stateDir, port: parsePortOption(args.port, '--port'), allowed }
  using _strangers = tellStrangers(allowed, log)
  await using node = await BootstrapNode.start(options, {
    onNode: routingLine(log),
    onSaveFailed: (error) => log.warn(`[DHT] ${messageOf(error)}`),
  })
  const address = { host: await addressOf(bind), port: node.port }
  if (args.json) jsonWriter(context.out)({ event: 'listening', ...{ port: node.port, nodeId: node.nodeId } })
  else context.out(`${formatPeerAddress(address)}\n`)
  log.info(`[DHT] ✓ Bootstrap node listening on UDP ${bind}:${node.port} (node id: ${node.nodeId})`)
  log.info(
    `[DHT] Routing table: ${node.nodeCount} node(s); hosts and clients join with ${formatPeerAddress(address)}:`,
  )
  for (const line of recipes(address)) log.info(`  ${line}`)
  await untilStopped(context.signal, new Promise(() => undefined))
}

/** The `bootstrap` command. */
export const bootstrapCommand = {
  command: 'bootstrap',
  describe: "Run the fleet's own DHT bootstrap node",
  builder,
  run: runBootstrap,
}
