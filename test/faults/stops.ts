/** SIGINT and SIGTERM at moments that a seed chooses, of every kind of process; short and long tests use it alike. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { basename, join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { afterTest } from '../helpers/after-test.ts'
import { type Fleet, startFleet, writeSplitModel } from '../helpers/fleet.ts'
import { CLI, type ExitStatus, type RunningProcess, startProcess } from '../helpers/process.ts'
import type { Random } from '../helpers/random.ts'
import { assertPortsFree, visibleFiles } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { handshake, ID, message, uint32 } from '../hostile/raw-peer.ts'
import { rawSocket } from '../web/clients.ts'

/** The program promises to have ended by then, whatever hangs. */
export const PROMISED_STOP_MS = 5_000
/** Of a stop: whatever it did was done, or was interrupted. */
const EXIT_CODES: readonly (number | null)[] = [0, 130]
/** How much a busy machine may add to what a process does, and to how soon its end is seen. */
export const BUSY_MS = 1_500
/** The longest that a process runs before it is told to stop: whatever it does at start is over then. */
const LONGEST_MS = 4_000

/** What any of the commands may say of where it listens. */
interface Said {
  readonly event: string
  readonly port?: number
  readonly dhtPort?: number
  readonly url?: string
}

type Cli = RunningProcess<Said>

/** One way to run a command. */
export interface Stoppable {
  readonly name: string
  /** Arguments of a run that has its own folder. */
  readonly args: (world: StopWorld, folder: string) => Promise<readonly string[]> | readonly string[]
  /** What makes its stop harder, if it listens by then. */
  readonly burden?: (t: TestContext, world: StopWorld, cli: Cli) => Promise<void>
  /** What must hold afterwards. */
  readonly afterwards?: (folder: string) => Promise<void>
}

/** A small fleet that lives through all the stops, with shards that others fetch. */
export interface StopWorld {
  readonly fleet: Fleet
  readonly infoHash: string
  /** More files to hash. */
  readonly spare: readonly string[]
}

export async function stopWorld(t: TestContext): Promise<StopWorld> {
  const fleet = await startFleet(t, { hosts: 2, bytes: 3_000_000, args: ['--upload-limit', '1M'] })
  const { infoHash } = await fleet.hosts[0]!.announced(basename(fleet.originals[0]!))
  await mkdir(join(fleet.folder, 'spare'))
  const spare = await writeSplitModel(join(fleet.folder, 'spare'), 'spare', {
    count: 3,
    bytes: 2_000_000,
    seed: 5,
  })
  return { fleet, infoHash, spare }
}

const seedArgs =
  (more: readonly string[]) =>
  async ({ fleet, spare }: StopWorld, folder: string) => {
    await mkdir(join(folder, 'shards'), { recursive: true })
    for (const file of spare) await copyFile(file, join(folder, 'shards', basename(file)))
    const folders = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
    return ['seed', join(folder, 'shards'), ...fleet.memberArgs, ...folders, '--json', ...more]
  }

/** State that a stop has written, or that was never begun. */
async function assertState(folder: string): Promise<void> {
  const text = await readFile(join(folder, 'state', 'host.json'), 'utf8').catch(() => '{"version":1}')
  assert.equal((JSON.parse(text) as { version: number }).version, 1)
}

/** Connections to a BitTorrent port: one that asks and reads nothing, one that says nothing at all. */
async function hungPeers(t: TestContext, world: StopWorld, cli: Cli): Promise<void> {
  const port = cli.events().find(({ event }) => event === 'listening')?.port
  if (port === undefined) return
  const greedy = hung(t, port)
  const asks = Array.from({ length: 100 }, (_, at) => message(ID.request, uint32(at % 8, 0, 16_384)))
  greedy.write(Buffer.concat([handshake({ infoHash: world.infoHash }), message(ID.interested), ...asks]))
  hung(t, port)
}

function hung(t: TestContext, port: number): Socket {
  const socket = createConnection(port, '127.0.0.1').pause()
  socket.on('error', () => undefined)
  afterTest(t, () => socket.destroy())
  return socket
}

/** A slow reader, one that never ends its request, and a socket that was upgraded and never closes. */
async function hungClients(t: TestContext, _world: StopWorld, cli: Cli): Promise<void> {
  const url = cli.events().find(({ event }) => event === 'listening')?.url
  if (url === undefined) return
  const { port } = new URL(url)
  const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n'
  const upgrade = `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n`
  for (const text of [
    upgrade,
    'GET / HTTP/1.1\r\nHost: 127.0',
    `GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`,
  ]) {
    rawSocket(t, Number(port), text).socket.pause()
  }
}

export const STOPPABLES: readonly Stoppable[] = [
  { name: 'seed', args: seedArgs([]), burden: hungPeers, afterwards: assertState },
  {
    name: 'seed --replicate',
    args: seedArgs(['--replicate']),
    burden: hungPeers,
    afterwards: assertState,
  },
  {
    name: 'get',
    args: ({ fleet, infoHash }, folder) => [
      'get',
      infoHash,
      ...fleet.memberArgs.slice(0, 4),
      '--out',
      join(folder, 'out'),
      '--json',
    ],
    afterwards: async (folder) => {
      for (const name of await visibleFiles(join(folder, 'out'))) assert.match(name, /\.gguf$/)
    },
  },
  {
    name: 'get by name',
    args: ({ fleet }, folder) => ['get', 'tiny', ...fleet.memberArgs, '--out', join(folder, 'out'), '--json'],
  },
  {
    name: 'bootstrap',
    args: (_world, folder) => [
      'bootstrap',
      '--bind',
      '127.0.0.1',
      '--port',
      '0',
      '--state-dir',
      join(folder, 'state'),
      '--json',
    ],
    afterwards: assertState,
  },
  {
    name: 'web',
    args: ({ fleet }) => ['web', ...fleet.memberArgs, '--http-port', '0', '--live-port', '0', '--json'],
    burden: hungClients,
  },
  {
    name: 'status --watch',
    args: ({ fleet }) => ['status', '--watch', ...fleet.memberArgs, '--json'],
  },
]

/** What a stop looked like. */
export interface Stop {
  readonly tookMs: number
  readonly afterMs: number
  readonly status: ExitStatus
}

/** Runs one command and stops it after a while; asserts all that is promised. */
export async function stopOnce(
  t: TestContext,
  world: StopWorld,
  { name, args, burden, afterwards }: Stoppable,
  random: Random,
): Promise<Stop> {
  const folder = join(world.fleet.folder, `${name.replaceAll(/\W+/g, '-')}-${random.below(1_000_000_000)}`)
  await mkdir(folder)
  const signal = random.pick(['SIGINT', 'SIGTERM'] as const)
  const afterMs = random.between(1, LONGEST_MS)
  const cli: Cli = startProcess<Said>(t, process.execPath, [CLI, ...(await args(world, folder))])
  let status: ExitStatus | undefined
  void cli.exited.then((exit) => {
    status = exit
  })
  await pause(afterMs) // the moment is the scenario
  await burden?.(t, world, cli)
  const startedAt = performance.now()
  cli.kill(signal)
  await until(() => status, {
    timeoutMs: 4 * PROMISED_STOP_MS,
    everyMs: 5,
    what: `${name} ends on ${signal} after ${afterMs} ms`,
  })
  const tookMs = performance.now() - startedAt
  const { code, signal: by } = status!
  // Before it listens for signals, the signal itself ends it.
  assert.ok(
    by === signal || EXIT_CODES.includes(code),
    `${name}, ${signal} after ${afterMs} ms: ${code} ${by} ${cli.stderr}`,
  )
  assert.ok(tookMs < PROMISED_STOP_MS + BUSY_MS, `${name} took ${tookMs} ms to stop`)
  assert.doesNotMatch(cli.stderr, /\n\s+at |\(node:\d+\)/)
  for (const { event, port, dhtPort, url } of cli.events()) {
    if (event !== 'listening') continue
    if (url !== undefined) await assertPortsFree({ tcp: Number(new URL(url).port) })
    else if (dhtPort === undefined) await assertPortsFree({ udp: port! })
    else await assertPortsFree({ tcp: port!, udp: dhtPort })
  }
  await afterwards?.(folder)
  return { tookMs, afterMs, status: status! }
}
