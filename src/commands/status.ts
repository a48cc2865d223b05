/** `gguf-swarm status`: the fleet in the terminal, once or all the time. */
import type { Argv } from 'yargs'
import type { SwarmError } from '../errors.ts'
import { Coordinator } from '../fleet/coordinator.ts'
import { fleetLabel } from '../fleet/membership/fleet-key.ts'
import { type SettleOptions, untilSettled } from '../fleet/membership/settled.ts'
import type { FleetStatus } from '../fleet/status.ts'
import { printable } from '../log.ts'
import { ALLOW_OPTIONS, allowedPeers } from './allow.ts'
import { type CommandContext, jsonWriter, type Terminal, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { renderFleet, type TableOptions } from './fleet-table.ts'
import { keepNames, rememberNames } from './known-names.ts'
import { COORDINATOR_OPTIONS, coordinatorOptions, JSON_OPTION } from './options.ts'
import { shorten } from './progress.ts'
import { Redraw } from './redraw.ts'

/** How often a picture is drawn without any news: it says how long ago things were. */
const IDLE_DRAW_MS = 1_000
/** Programs get a picture at most so often; one of a large fleet is megabytes. */
const JSON_MS = 1_000

const builder = (yargs: Argv) =>
  yargs
    .options({
      watch: {
        type: 'boolean',
        alias: 'w',
        default: false,
        describe: 'go on until Ctrl-C, and show changes',
      },
      ...COORDINATOR_OPTIONS,
      ...ALLOW_OPTIONS,
      ...JSON_OPTION,
    } as const)
    .example('$0 status', 'hosts, models and shards of the fleet, once')
    .example('$0 status --watch', 'the same, live')

type StatusArguments = ArgumentsOf<typeof builder>

async function runStatus(args: StatusArguments, context: CommandContext): Promise<void> {
  const { promise: failed, resolve: fail } = Promise.withResolvers<SwarmError>()
  const settings = await coordinatorOptions(args)
  const allowed = allowedPeers(args, settings)
  const options = { ...settings, allowed, watchesSwarms: args.watch, onFailed: fail }
  const { log } = context
  await using coordinator = await Coordinator.start(options)
  const stop = new AbortController()
  void failed.then((error) => stop.abort(error))
  const signal = AbortSignal.any([context.signal, stop.signal])
  const { dht, wantedReplicas } = options
  if (args.watch) {
    using _view = watch(coordinator, args, context, wantedReplicas)
    using _names = keepNames(options.key, () => coordinator.status.shards, { isPart: false })
    await untilStopped(context.signal, failed)
    return
  }
  const isQuiet = await settled(coordinator, context, { signal, dht })
  if (!isQuiet) log.warn('hosts are still coming, going or telling what they have: this may not be all')
  const { status } = coordinator
  if (args.json) writeJson(status, context)
  else {
    const lines = renderFleet(status, tableOptions(context.terminal, wantedReplicas, false))
    for (const line of lines) context.out(`${line}\n`)
  }
  await rememberNames(options.key, status.shards)
}

/** Waits for the whole picture; says so meanwhile where that line can be taken away again. */
async function settled(
  coordinator: Coordinator,
  { isInteractive, err, columns }: CommandContext,
  options: SettleOptions,
): Promise<boolean> {
  const text = `looking for hosts of the ${printable(fleetLabel(coordinator.member.key))} …`
  if (isInteractive) err(shorten(text, columns() - 1))
  try {
    return (await untilSettled(coordinator, options)).isQuiet
  } finally {
    if (isInteractive) err('\r\x1b[K')
  }
}

function writeJson(status: FleetStatus, context: CommandContext): void {
  jsonWriter(context.out)({ event: 'status', ...status })
}

function tableOptions(terminal: Terminal | null, wantedReplicas: number, mustFit: boolean): TableOptions {
  return {
    columns: terminal === null ? Number.POSITIVE_INFINITY : terminal.columns(),
    // The cursor stands below the last line.
    rows: terminal !== null && mustFit ? terminal.rows() - 1 : null,
    hasColours: terminal?.hasColours ?? false,
    wantedReplicas,
    now: Date.now(),
  }
}

function watch(
  coordinator: Coordinator,
  { json }: StatusArguments,
  context: CommandContext,
  wantedReplicas: number,
): Disposable {
  if (json) return watchJson(coordinator, context)
  const { terminal } = context
  return terminal === null
    ? watchLines(coordinator, context)
    : watchTerminal(coordinator, context, terminal, wantedReplicas)
}

/** The picture, redrawn in place. */
function watchTerminal(
  coordinator: Coordinator,
  { out }: CommandContext,
  terminal: Terminal,
  wantedReplicas: number,
): Disposable {
  const draw = (): void => {
    redraw.draw(renderFleet(coordinator.status, tableOptions(terminal, wantedReplicas, true)))
  }
  const redraw = new Redraw(out, terminal, draw)
  draw()
  const unsubscribe = coordinator.subscribe(draw)
  const timer = setInterval(draw, IDLE_DRAW_MS)
  return {
    [Symbol.dispose]: () => {
      unsubscribe()
      clearInterval(timer)
      redraw[Symbol.dispose]()
    },
  }
}

/** What happens, one line each, for files and pipes. */
function watchLines(coordinator: Coordinator, { out }: CommandContext): Disposable {
  let lastId = 0
  const unsubscribe = coordinator.subscribe(() => {
    for (const { id, time, message } of coordinator.events) {
      if (id <= lastId) continue
      lastId = id
      out(`${time} ${message}\n`)
    }
  })
  return { [Symbol.dispose]: unsubscribe }
}

function watchJson(coordinator: Coordinator, context: CommandContext): Disposable {
  let timer: NodeJS.Timeout | null = null
  let hasChanged = false
  const write = (): void => {
    hasChanged = false
    writeJson(coordinator.status, context)
    timer = setTimeout(() => {
      timer = null
      if (hasChanged) write()
    }, JSON_MS)
  }
  const unsubscribe = coordinator.subscribe(() => {
    if (timer === null) write()
    else hasChanged = true
  })
  write()
  return {
    [Symbol.dispose]: () => {
      unsubscribe()
      clearTimeout(timer ?? undefined)
    },
  }
}

/** The `status` command. */
export const statusCommand = {
  command: 'status',
  describe: 'Show the fleet: hosts, models and shards, and what is wrong',
  builder,
  run: runStatus,
}
