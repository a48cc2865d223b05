/** `status` against real hosts: once, live, for people and for programs; and in a real terminal. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { afterTest } from '../helpers/after-test.ts'
import { type Fleet, startFleet } from '../helpers/fleet.ts'
import { CLI, startProcess } from '../helpers/process.ts'
import { program, skipUnless } from '../helpers/requirements.ts'
import {
  type Cli,
  ended,
  endedBy,
  PATIENCE_MS,
  scratchFolder,
  startBootstrap,
  startQuietCli,
  theError,
} from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'

const statusArgs = ({ memberArgs }: Fleet, ...more: readonly string[]): readonly string[] => [
  'status',
  ...memberArgs,
  ...more,
]

/** The pictures printed so far. */
function pictures(cli: Cli): readonly (FleetStatus & { readonly event: string })[] {
  return cli.events().flatMap((event) => {
    const picture = event as unknown as FleetStatus & { readonly event: string }
    return picture.event === 'status' ? [picture] : []
  })
}

test('the fleet once: everything that was found, and exit code 0', async (t) => {
  const fleet = await startFleet(t, { hosts: 2, shards: 4 })
  await rm(join(fleet.hosts[1]!.folder, basename(fleet.originals[3]!)))
  await fleet.hosts[1]!.cli.waitForEvent('withdrawn', { timeoutMs: PATIENCE_MS })

  const [told, json] = await Promise.all([
    ended(startQuietCli(t, statusArgs(fleet))),
    ended(startQuietCli(t, statusArgs(fleet, '--json', '--replicas', '1'))),
  ])
  assert.equal(told.code, 0, told.stderr)
  assert.equal(told.stderr, '', 'nothing but the picture')
  for (const line of [
    /^keyed fleet$/m,
    /^2 hosts online, 0 of 1 model whole, 3 shards \(1\.80 MB\), 3 whole copies/m,
    /^✗ model tiny: shard 4 of 4 is on no host/m,
    /^! 3 shards have fewer than 2 whole copies/m,
    /^shard-0 +127\.0\.0\.1:\d+ +\d+ s .* 2$/m,
    /^shard-1 +127\.0\.0\.1:\d+ +\d+ s .* 1$/m,
    /^model tiny: 3 of 4 shards, missing: 4 \(test, 1\.80 MB\)$/m,
    /^ {2}1\/4 +tiny-00001-of-00004\.gguf +600 KB +1 seed +[0-9a-f]{40}$/m,
  ]) {
    assert.match(told.stdout, line)
  }
  assert.ok(!told.stdout.includes('\x1b'), 'no colours in a pipe')

  assert.equal(json.code, 0, json.stderr)
  assert.equal(json.stdout.trimEnd().split('\n').length, 1)
  const status = JSON.parse(json.stdout) as FleetStatus & { event: string }
  assert.equal(status.event, 'status')
  assert.deepEqual(
    status.hosts.map(({ name, seeding }) => [name, seeding]),
    [
      ['shard-0', 2],
      ['shard-1', 1],
    ],
  )
  assert.deepEqual(
    status.models.map(({ name, missing, weakestSeeds }) => ({ name, missing, weakestSeeds })),
    [{ name: 'tiny', missing: [4], weakestSeeds: 0 }],
  )
  assert.deepEqual(
    status.alarms.map(({ kind }) => kind),
    ['missing-shard'],
    'one copy is enough where one is wanted',
  )
})

test('live: programs get a picture a change, pipes a line a change', async (t) => {
  const fleet = await startFleet(t, { hosts: 2 })
  const json = startQuietCli(t, statusArgs(fleet, '--watch', '--json'))
  const lines = startQuietCli(t, statusArgs(fleet, '--watch'))
  const pictured = (check: (status: FleetStatus) => boolean, what: string) =>
    until(() => pictures(json).some(check), { timeoutMs: PATIENCE_MS, what })
  const printed = (words: RegExp) =>
    until(() => words.test(lines.stdout), {
      timeoutMs: PATIENCE_MS,
      what: () => `${words} in ${lines.stdout}`,
    })

  await pictured(({ totals }) => totals.copies === 2, 'both hosts')
  await printed(/^\S+Z shard-0 \(\S+\) is online with 1 shard$/m)
  await endedBy(fleet.hosts[0]!.cli, 'SIGTERM')
  await pictured(({ totals }) => totals.hostsOnline === 1 && totals.copies === 1, 'the host that left')
  await printed(/^\S+Z shard-0 left$/m)

  const times = pictures(json).map(({ time }) => Date.parse(time))
  const seconds = (times.at(-1)! - times[0]!) / 1000
  assert.ok(times.length <= seconds + 2, `${times.length} pictures in ${seconds} s: at most one a second`)
  for (const cli of [json, lines]) {
    const { code, stderr } = await endedBy(cli, 'SIGINT')
    assert.equal(code, 0, stderr)
    assert.equal(stderr, '')
  }
})

test('where nobody is found: exit code 3 and what to do', async (t) => {
  const { address } = await startBootstrap(t)
  const at = ['status', '--bind', '127.0.0.1', '--json']
  const [lonely, isolated] = await Promise.all([
    ended(startQuietCli(t, [...at, '--bootstrap', address, '--fleet', 'lonely'])),
    ended(startQuietCli(t, [...at, '--bootstrap', '127.0.0.1:9', '--fleet', 'lonely'])),
  ])
  assert.deepEqual([lonely.code, isolated.code], [3, 3])
  assert.match(theError(lonely).message, /no host of the open fleet 'lonely' was found in 20 s/)
  assert.match(theError(isolated).message, /no DHT node answers at 127\.0\.0\.1:9/)
  const wrong = await ended(startQuietCli(t, [...at, '--replicas', '0']))
  assert.deepEqual([wrong.code, theError(wrong).code], [2, 'bad-replicas'])
})

/** A terminal of its own, in which a command runs. */
interface Pane {
  screen(): string
  send(...keys: readonly string[]): void
  resize(columns: number, rows: number): void
}

async function startPane(t: TestContext, command: readonly string[], columns: number): Promise<Pane> {
  const socket = join(await scratchFolder(t), 'tmux')
  const tmux = (...args: readonly string[]): string =>
    execFileSync('tmux', ['-f', '/dev/null', '-S', socket, ...args], { encoding: 'utf8' })
  // The shell stays when the command ends, so that what it left on the screen can be looked at.
  const shell = `${command.map((word) => `'${word}'`).join(' ')}; echo "ended $?"; read _`
  startProcess(t, 'tmux', ['-f', '/dev/null', '-S', socket, '-D'])
  await until(() => tmux('start-server') === '', { timeoutMs: PATIENCE_MS, what: 'tmux' })
  tmux('new-session', '-d', '-x', String(columns), '-y', '30', 'bash', '-c', `trap : INT; ${shell}`)
  afterTest(t, () => tmux('kill-server'))
  return {
    screen: () => tmux('capture-pane', '-p'),
    send: (...keys) => void tmux('send-keys', ...keys),
    resize: (columns, rows) => void tmux('resize-window', '-x', String(columns), '-y', String(rows)),
  }
}

test('live in a terminal: drawn in place, at any size, and the cursor comes back', {
  skip: skipUnless(program('tmux')),
}, async (t) => {
  const fleet = await startFleet(t, { hosts: 2 })
  const pane = await startPane(t, [process.execPath, CLI, ...statusArgs(fleet, '--watch')], 80)
  const shown = async (words: RegExp): Promise<void> => {
    const look = { timeoutMs: PATIENCE_MS, what: `${words} on the screen` }
    await until(() => words.test(pane.screen()), look).catch((error: unknown) => {
      throw new Error(`the screen shows\n${pane.screen()}`, { cause: error })
    })
  }
  const count = (words: RegExp): number => [...pane.screen().matchAll(words)].length

  await shown(/^model tiny: 2 of 2 shards, weakest shard has 1 seed/m)
  await shown(/^shard-1 +127\.0\.0\.1:\d+ /m)
  pane.resize(40, 30)
  await shown(/^HOST +ONLINE .*SHARDS$/m) // without addresses
  pane.resize(160, 30)
  await shown(/ADDRESS.*FREE/)
  fleet.hosts[1]!.cli.kill('SIGKILL')
  await shown(/^✗ shard-1 .*lost \d+ s ago/m)
  assert.equal(count(/^keyed fleet$/gm), 1, `one picture, not several:\n${pane.screen()}`)
  assert.equal(count(/^HOST /gm), 1)

  pane.send('C-c')
  await shown(/^ended 0$/m)
  assert.match(pane.screen(), /^✗ shard-1 /m, 'the last picture stays')
})
