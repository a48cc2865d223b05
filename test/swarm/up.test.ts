/**
 * `up`: bootstrap, page and four hosts as real processes, every shard copied to every host and verified; and what
 * happens when one of them, or all, end.
 */
import assert from 'node:assert/strict'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { afterTest, atExit } from '../helpers/after-test.ts'
import { writeModel } from '../helpers/gguf.ts'
import type { CliEvent } from '../helpers/process.ts'
import {
  assertGot,
  type Cli,
  ended,
  endedBy,
  holdUdpPort,
  PATIENCE_MS,
  runGet,
  type Seeding,
  scratchFolder,
  startQuietCli,
  untilSaid,
} from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'

const HOSTS = ['shard-0', 'shard-1', 'shard-2', 'shard-3']
const NAMES = ['bootstrap', ...HOSTS, 'web']
const FIXTURES = join(import.meta.dirname, '../../fixtures/shards')
/** Bootstrap last, the others before it; nobody likes to wait longer after Ctrl-C. */
const ALL_STOPPED_WITHIN_MS = 10_000

interface Up {
  readonly cli: Cli
  readonly bootstrap: string
  /** Options with which a command joins its fleet. */
  readonly access: readonly string[]
  readonly page: string
  /** Process ids by name. */
  readonly pids: ReadonlyMap<string, number>
  /** The shards seeded so far, with the host that told of each. */
  readonly seeding: () => readonly (Seeding & { readonly host: string })[]
}

/** Starts it on the shards of `folder`; resolves when everything is up. */
async function startUp(t: TestContext, folder: string, shards: string): Promise<Up> {
  const folders = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const keyFile = join(folder, 'fleet.key')
  const ports = ['--bootstrap-port', '0', '--http-port', '0', '--live-port', '0', '--fleet-key', keyFile]
  const cli = startQuietCli(t, ['up', shards, ...ports, ...folders, '--json'])
  await untilSaid(cli, 'Everything is up. Ctrl-C stops it.', 3 * PATIENCE_MS)
  const pids = new Map(
    [...cli.stderr.matchAll(/✓ (?:Host )?(shard-\d|Bootstrap|Page).*\(process (\d+)\)/g)].map(
      ([, name, pid]) => [name === 'Page' ? 'web' : name!.toLowerCase(), Number(pid)] as const,
    ),
  )
  // Should the test fail, nothing must be left behind.
  const killAll = (): void => {
    for (const pid of pids.values()) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  }
  afterTest(t, killAll)
  afterTest(t, atExit(killAll))
  assert.deepEqual([...pids.keys()].sort(), NAMES, cli.stderr)
  for (const [name, pid] of pids) assert.ok(isAlive(pid), `${name} (${pid}) is a process`)
  assert.equal(new Set([...pids.values(), cli.pid]).size, NAMES.length + 1, 'each is its own process')
  const bootstrap = /Bootstrap node: DHT UDP (\S+)/.exec(cli.stderr)![1]!
  type Told = Seeding & { readonly host: string }
  const seeding = () => cli.events().filter((event): event is Told => event.event === 'seeding')
  const page = /✓ Page: (\S+)/.exec(cli.stderr)![1]!
  const access = ['--bootstrap', bootstrap, '--bind', '127.0.0.1', '--fleet-key', keyFile]
  return { cli, bootstrap, access, page, pids, seeding }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function assertAllEnd({ pids }: Up): Promise<void> {
  await until(() => ![...pids.values()].some(isAlive), {
    timeoutMs: ALL_STOPPED_WITHIN_MS,
    what: 'end of all children',
  })
}

test('the sample model goes from one shard a host to sixteen copies, verified; and Ctrl-C', async (t) => {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'empty'))
  const up = await startUp(t, folder, join(folder, 'empty'))
  assert.match(up.cli.stderr, /holds no \.gguf file, so the sample model is shared/)
  const files = (await readdir(FIXTURES)).sort()
  const seeded = up.seeding()
  for (const host of HOSTS) {
    const own = seeded.filter((event) => event.host === host).map(({ file }) => file)
    assert.deepEqual(own.sort(), files, `${host} has every shard`)
  }
  const dealt = seeded.slice(0, 4)
  assert.match(up.cli.stderr, /16 of 16 copies/)
  const verdict = up.cli.events().find((event) => (event as { event: string }).event === 'verdict')
  assert.ok(verdict !== undefined && 'ok' in verdict && verdict.ok === true, up.cli.stderr)
  assert.doesNotMatch(up.cli.stderr, /^✗/m, 'no check failed')

  const status = (await (await fetch(`${up.page}/api/status`)).json()) as { totals: { copies: number } }
  assert.equal(status.totals.copies, 16, 'the page shows what was verified')

  const [shard] = dealt
  const got = await runGet(t, [shard!.infoHash], { bootstrap: up.bootstrap, out: join(folder, 'out') })
  await assertGot(got, [join(FIXTURES, shard!.file)])
  const byName = ['--fleet-key', join(folder, 'fleet.key')]
  const named = await runGet(t, [files[1]!], {
    bootstrap: up.bootstrap,
    out: join(folder, 'named'),
    args: byName,
  })
  await assertGot(named, [join(FIXTURES, files[1]!)])

  const { code, tookMs, stderr } = await endedBy(up.cli, 'SIGINT')
  t.diagnostic(`stopped after ${Math.round(tookMs)} ms`)
  assert.equal(code, 0, stderr)
  assert.ok(tookMs < ALL_STOPPED_WITHIN_MS)
  for (const [name, pid] of up.pids) assert.ok(!isAlive(pid), `${name} has ended`)
})

test('own shards, one that comes later, a host that dies, SIGTERM', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const names = ['a.gguf', 'b.gguf']
  for (const [seed, name] of names.entries()) await writeModel(join(shards, name), { bytes: 500_000, seed })
  const up = await startUp(t, folder, shards)
  assert.equal(up.seeding().length, HOSTS.length * names.length)

  await writeModel(join(shards, 'late.gguf'), { bytes: 500_000, seed: 9 })
  const lateOnes = () => up.seeding().filter(({ file }) => file === 'late.gguf')
  await until(() => lateOnes().length === HOSTS.length, {
    timeoutMs: PATIENCE_MS,
    what: 'the late file everywhere',
  })
  const late = lateOnes()[0]!
  const isAnnounced = (event: CliEvent): boolean =>
    event.event === 'announced' && event.infoHash === late.infoHash
  await up.cli.waitForEvent(isAnnounced, { timeoutMs: PATIENCE_MS })

  const [victim] = up.seeding()
  process.kill(up.pids.get(victim!.host)!, 'SIGKILL')
  await untilSaid(up.cli, `✗ ${victim!.host} ended (signal SIGKILL`)
  assert.match(up.cli.stderr, /The others go on/)
  const got = await runGet(t, [late.infoHash], { bootstrap: up.bootstrap, out: join(folder, 'out') })
  await assertGot(got, [join(shards, 'late.gguf')])

  const { code, stderr } = await endedBy(up.cli, 'SIGTERM')
  assert.equal(code, 0, stderr)
  await assertAllEnd(up)
})

test('its children end with it, even after kill -9', async (t) => {
  const folder = await scratchFolder(t)
  const up = await startUp(t, folder, FIXTURES)
  const { signal } = await endedBy(up.cli, 'SIGKILL')
  assert.equal(signal, 'SIGKILL')
  await assertAllEnd(up)
})

test('a busy bootstrap port is said clearly', async (t) => {
  const folder = await scratchFolder(t)
  const port = await holdUdpPort(t)
  const folders = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const own = ['--fleet-key', join(folder, 'fleet.key'), '--bootstrap-port', String(port)]
  const cli = startQuietCli(t, ['up', FIXTURES, ...own, ...folders, '--json'])
  const { code, stderr } = await ended(cli)
  assert.equal(code, 1, stderr)
  t.diagnostic(stderr)
  assert.match(stderr, new RegExp(`bootstrap .*UDP port ${port} .* in use`))
  assert.ok(stderr.includes('--bootstrap-port'), 'by the option of this command')
  assert.doesNotMatch(stderr, /\n\s+at /)
})
