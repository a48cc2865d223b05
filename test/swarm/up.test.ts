/** `up`: bootstrap and four hosts as real processes, and what happens when one of them, or all, end. */
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

const NAMES = ['bootstrap', 'shard-0', 'shard-1', 'shard-2', 'shard-3']
const FIXTURES = join(import.meta.dirname, '../../fixtures/shards')
/** Five processes stop one after the other at worst; nobody likes to wait longer after Ctrl-C. */
const ALL_STOPPED_WITHIN_MS = 10_000

interface Up {
  readonly cli: Cli
  readonly bootstrap: string
  /** Process ids by name. */
  readonly pids: ReadonlyMap<string, number>
  /** The shards seeded so far, with the host that told of each. */
  readonly seeding: () => readonly (Seeding & { readonly host: string })[]
}

/** Starts it on the shards of `folder`; resolves when everything is up. */
async function startUp(t: TestContext, folder: string, shards: string): Promise<Up> {
  const folders = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const cli = startQuietCli(t, ['up', shards, '--bootstrap-port', '0', ...folders, '--json'])
  await untilSaid(cli, 'Everything is up. Ctrl-C stops it.', 2 * PATIENCE_MS)
  const pids = new Map(
    [...cli.stderr.matchAll(/✓ (?:Host )?(shard-\d|Bootstrap) ?.*\(process (\d+)\)/g)].map(
      ([, name, pid]) => [name!.toLowerCase(), Number(pid)] as const,
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
  assert.equal(new Set([...pids.values(), cli.pid]).size, 6, 'each is its own process')
  const bootstrap = /Bootstrap node: DHT UDP (\S+)/.exec(cli.stderr)![1]!
  type Told = Seeding & { readonly host: string }
  const seeding = () => cli.events().filter((event): event is Told => event.event === 'seeding')
  return { cli, bootstrap, pids, seeding }
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

test('the sample model, and Ctrl-C', async (t) => {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'empty'))
  const up = await startUp(t, folder, join(folder, 'empty'))
  assert.match(up.cli.stderr, /holds no \.gguf file, so the sample model is shared/)
  const shards = up.seeding()
  assert.deepEqual(shards.map(({ file }) => file).sort(), (await readdir(FIXTURES)).sort())
  assert.deepEqual(shards.map(({ host }) => host).sort(), NAMES.slice(1), 'each host has one')
  const announced = up.cli.events().flatMap((event) => (event.event === 'announced' ? event.infoHash : []))
  for (const { infoHash } of shards) assert.ok(announced.includes(infoHash), `${infoHash} is announced`)

  const [shard] = shards
  const got = await runGet(t, [shard!.infoHash], { bootstrap: up.bootstrap, out: join(folder, 'out') })
  await assertGot(got, [join(FIXTURES, shard!.file)])

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
  assert.deepEqual(
    up
      .seeding()
      .map(({ file }) => file)
      .sort(),
    names,
  )

  await writeModel(join(shards, 'late.gguf'), { bytes: 500_000, seed: 9 })
  const late = await until(() => up.seeding().find(({ file }) => file === 'late.gguf'), {
    timeoutMs: PATIENCE_MS,
    what: 'the late file',
  })
  assert.ok(
    !up.seeding().some(({ host, file }) => host === late.host && file !== 'late.gguf'),
    'dealt to an idle host',
  )
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
  const cli = startQuietCli(t, ['up', FIXTURES, '--bootstrap-port', String(port), ...folders, '--json'])
  const { code, stderr } = await ended(cli)
  assert.equal(code, 1, stderr)
  t.diagnostic(stderr)
  assert.match(stderr, new RegExp(`bootstrap .*UDP port ${port} .* in use`))
  assert.ok(stderr.includes('--bootstrap-port'), 'by the option of this command')
  assert.doesNotMatch(stderr, /\n\s+at /)
})
