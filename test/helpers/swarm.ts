/**
 * A private swarm on loopback out of the product's own processes: bootstrap, hosts, downloads. Every port is a
 * free one, every folder the test's own; whatever Node itself warns about fails the test.
 */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { readdir, readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { afterTest } from './after-test.ts'
import {
  type CliEvent,
  type EventNamed,
  type ExitStatus,
  type RunningProcess,
  type StartOptions,
  startCli,
  type WaitOptions,
} from './process.ts'
import { temporaryFolder } from './temp.ts'
import { until } from './until.ts'

/** Under the name that the tests of processes call it by. */
export const scratchFolder: typeof temporaryFolder = temporaryFolder

/** Nothing in a swarm of small files takes so long, even when the machine is busy with something else. */
export const PATIENCE_MS = 60_000
/** The program promises 5 s, after which it ends whatever hangs; no stop should need that. */
export const STOP_LIMIT_MS = 4_000

export type Cli = RunningProcess<CliEvent>
export type Seeding = EventNamed<CliEvent, 'seeding'>
export type Done = EventNamed<CliEvent, 'done'>

/** Runs the command line; a warning of Node's in its output fails the test. */
export function startQuietCli(t: TestContext, args: readonly string[], options: StartOptions = {}): Cli {
  let cli: Cli | undefined
  afterTest(t, () =>
    assert.doesNotMatch(cli?.stderr ?? '', /\(node:\d+\)|Warning:/, `warnings of ${args[0]}`),
  )
  cli = startCli(t, args, options)
  return cli
}

export interface Bootstrap {
  readonly cli: Cli
  readonly port: number
  readonly nodeId: string
  /** As `--bootstrap` wants it. */
  readonly address: string
}

/** Starts a bootstrap node; resolves when it listens. */
export async function startBootstrap(
  t: TestContext,
  { stateDir, port = 0 }: { readonly stateDir?: string; readonly port?: number } = {},
): Promise<Bootstrap> {
  const state = stateDir ?? join(await scratchFolder(t), 'bootstrap')
  const at = ['--bind', '127.0.0.1', '--port', String(port), '--state-dir', state]
  const cli = startQuietCli(t, ['bootstrap', ...at, '--json'])
  const listening = await cli.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  // A bootstrap tells its node id instead of a host id.
  const { nodeId } = listening as unknown as { readonly nodeId: string }
  return { cli, port: listening.port, nodeId, address: `127.0.0.1:${listening.port}` }
}

export interface HostOptions {
  readonly bootstrap: string
  /** Where state and `.torrent` files go; a new folder unless told. */
  readonly home?: string
  readonly args?: readonly string[]
  /** Without it the host prints its log lines and magnets instead of events. */
  readonly json?: boolean
}

export interface Host {
  readonly cli: Cli
  readonly home: string
  readonly torrentsDir: string
  /** As `--peer` wants it; only with events. */
  address(): Promise<string>
  /** The first `seeding` event of a file (and accepted by `where`). */
  seeding(file: string, options?: Partial<WaitOptions<Seeding>>): Promise<Seeding>
  /** Waits until the DHT knows that this host has it; resolves with its `seeding` event. */
  announced(file: string): Promise<Seeding>
  /** Names of the events told about a file by its name so far, in order. */
  story(file: string): readonly string[]
}

/** Starts a host on the shards of `folder`. */
export async function startHost(t: TestContext, folder: string, options: HostOptions): Promise<Host> {
  const { bootstrap, args = [], json = true } = options
  const home = options.home ?? (await scratchFolder(t))
  const torrentsDir = join(home, 'torrents')
  const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', torrentsDir]
  const at = ['--bind', '127.0.0.1', '--bootstrap', bootstrap]
  const cli = startQuietCli(t, ['seed', folder, ...at, ...folders, ...(json ? ['--json'] : []), ...args])
  const seeding: Host['seeding'] = (file, { timeoutMs = PATIENCE_MS, where = () => true } = {}) =>
    cli.waitForEvent('seeding', { timeoutMs, where: (event) => event.file === file && where(event) })
  return {
    cli,
    home,
    torrentsDir,
    seeding,
    address: async () => {
      const { port } = await cli.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
      return `127.0.0.1:${port}`
    },
    announced: async (file) => {
      const event = await seeding(file)
      await cli.waitForEvent('announced', {
        timeoutMs: PATIENCE_MS,
        where: ({ infoHash, nodes }) => infoHash === event.infoHash && nodes > 0,
      })
      return event
    },
    story: (file) =>
      cli.events().flatMap((event) => ('file' in event && event.file === file ? [event.event] : [])),
  }
}

export interface GetOptions {
  readonly bootstrap: string
  readonly out: string
  readonly args?: readonly string[]
  readonly json?: boolean
}

/** A `get` that has ended. */
export interface Got extends ExitStatus {
  readonly stdout: string
  readonly stderr: string
  readonly events: readonly CliEvent[]
  /** Since it began to be waited for. */
  readonly tookMs: number
  /** When its end was seen, by Date.now. */
  readonly endedAtMs: number
}

/** Starts a download of one or more ids. */
export function startGet(t: TestContext, ids: readonly string[], options: GetOptions): Cli {
  const { bootstrap, out, args = [], json = true } = options
  const at = ['--bind', '127.0.0.1', '--bootstrap', bootstrap]
  return startQuietCli(t, ['get', ...ids, '--out', out, ...at, ...(json ? ['--json'] : []), ...args])
}

/** Runs a download to its end, whatever that is. */
export async function runGet(t: TestContext, ids: readonly string[], options: GetOptions): Promise<Got> {
  return ended(startGet(t, ids, options))
}

/** Waits for a process to end by itself. */
export async function ended(cli: Cli, timeoutMs = PATIENCE_MS): Promise<Got> {
  const startedAt = performance.now()
  const status = await endedWithin(cli, timeoutMs)
  const { stdout, stderr } = cli
  return {
    ...status,
    stdout,
    stderr,
    events: cli.events(),
    tookMs: performance.now() - startedAt,
    endedAtMs: Date.now(),
  }
}

async function endedWithin(cli: Cli, timeoutMs: number): Promise<ExitStatus> {
  let status: ExitStatus | undefined
  void cli.exited.then((exit) => {
    status = exit
  })
  return until(() => status, { timeoutMs, what: `end of process ${cli.pid}` })
}

/** Waits until a process has said something on stderr; fails at once when it ends without it. */
export async function untilSaid(cli: Cli, words: string | RegExp, timeoutMs = PATIENCE_MS): Promise<void> {
  const said = (): boolean =>
    typeof words === 'string' ? cli.stderr.includes(words) : words.test(cli.stderr)
  let hasEnded = false
  void cli.exited.then(() => {
    hasEnded = true
  })
  await until(() => said() || hasEnded, { timeoutMs, what: `"${words}" on stderr` })
  assert.ok(said(), `ended without saying "${words}": ${cli.stderr}`)
}

/** Sends a signal and tells how long the process took to end. */
export async function endedBy(cli: Cli, signal: NodeJS.Signals): Promise<Got> {
  cli.kill(signal)
  return ended(cli)
}

/** Asserts that a download succeeded and that each of its files equals its original, byte for byte. */
export async function assertGot(got: Got, originals: readonly string[]): Promise<readonly Done[]> {
  assert.equal(got.code, 0, `exit code ${got.code}: ${got.stderr}${got.stdout.slice(-2_000)}`)
  const done = got.events.filter((event) => event.event === 'done')
  assert.equal(done.length, originals.length, 'done events')
  const lastDoneMs = Math.max(...done.map(({ time }) => Date.parse(time)))
  assert.ok(
    got.endedAtMs - lastDoneMs < STOP_LIMIT_MS,
    `ended ${got.endedAtMs - lastDoneMs} ms after the last one`,
  )
  for (const original of originals) {
    const wanted = await readFile(original)
    const same = await Promise.all(done.map(async ({ path }) => wanted.equals(await readFile(path))))
    assert.ok(same.includes(true), `no downloaded file equals ${original}`)
  }
  return done
}

/** The one error a failed run told on stdout (with `--json`) and, in the same words, on stderr. */
export function theError({ events, stderr }: Got): EventNamed<CliEvent, 'error'> {
  const errors = events.filter((event) => event.event === 'error')
  const [error] = errors
  assert.ok(error !== undefined && errors.length === 1, `one error, not ${JSON.stringify(errors)}`)
  assert.ok(stderr.includes(error.message), `stderr lacks the message: ${stderr}`)
  assert.doesNotMatch(stderr, /\n\s+at /, 'a message for people, not a stack')
  assert.notEqual(error.code, 'bug')
  return error
}

/** What `ls` shows: the names in a folder that are not hidden. */
export async function visibleFiles(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => !name.startsWith('.')).sort()
}

/** A UDP port that nobody uses at this moment. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(resolve))
  return port
}

/** A TCP port that nobody uses at this moment. */
export async function freeTcpPort(host = '127.0.0.1'): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Takes a UDP port until the test ends, and says nothing on it. */
export async function holdUdpPort(t: TestContext): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  afterTest(t, () => socket.close())
  return socket.address().port
}

/** Takes a TCP port until the test ends. */
export async function holdTcpPort(t: TestContext): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  afterTest(t, () => server.close())
  return (server.address() as AddressInfo).port
}

/** Throws unless the port can be had, as it must be after whoever had it has ended. */
export async function assertPortsFree({ tcp, udp }: { tcp?: number; udp?: number }): Promise<void> {
  if (tcp !== undefined) {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(tcp, '127.0.0.1', resolve)
    })
    await new Promise((resolve) => server.close(resolve))
  }
  if (udp !== undefined) {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject).bind(udp, '127.0.0.1', resolve)
    })
    await new Promise<void>((resolve) => socket.close(resolve))
  }
}
