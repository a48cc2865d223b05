/**
 * A fleet on machines of its own (network namespaces): four hosts with one shard each that replicate until each
 * has all four, whatever happens on the way; then `verify` says so.
 */
import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import { writeSplitModel } from '../helpers/fleet.ts'
import { type Host, skipWithout, type TestNetwork, testNetwork } from '../helpers/netns.ts'
import { type AnyEvent, type CliEvent, type RunningProcess, startCli } from '../helpers/process.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const HOSTS = 4
const COPIES = HOSTS * HOSTS
/** Slow enough that there is a middle: 12 copies of 4 MB from hosts that upload 1 MB a second take some 12 s. */
const SHARD_BYTES = 4_000_000
const UPLOAD_LIMIT = '1M'
const START_TIMEOUT_MS = 60_000
/** The slowest way there: a cut that is noticed after 20 s, and dials that are tried again within a minute. */
const COPIED_TIMEOUT_MS = 180_000

type Cli = RunningProcess<CliEvent>

interface Machines {
  readonly network: TestNetwork
  readonly hosts: readonly Host[]
  readonly processes: Cli[]
  /** Whole copies that the hosts have told of so far. */
  copies(): number
  startHost(index: number): Cli
  startBootstrap(): Cli
  bootstrap: Cli
}

interface Event extends AnyEvent {
  readonly verdict?: string
  readonly id?: string
  readonly ok?: boolean
}

async function startMachines(t: TestContext): Promise<{ machines: Machines; verify: () => Promise<void> }> {
  const folder = await temporaryFolder(t)
  const network = testNetwork(t)
  const desk = network.host('desk')
  const hosts = Array.from({ length: HOSTS }, (_, index) => network.host(`host-${index}`))
  const key = join(folder, 'fleet.key')
  await createKeyFile(key)
  await mkdir(join(folder, 'originals'))
  const originals = await writeSplitModel(join(folder, 'originals'), 'tiny', {
    count: HOSTS,
    bytes: SHARD_BYTES,
  })
  const fleet = ['--bootstrap', `${desk.address}:51820`, '--fleet-key', key]
  const startBootstrap = (): Cli =>
    startCli(t, ['bootstrap', '--state-dir', join(folder, 'bootstrap'), '--json'], desk)
  const shardsOf = (index: number): string => join(folder, `host-${index}`, 'shards')
  const startHost = (index: number): Cli => {
    const home = join(folder, `host-${index}`)
    const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', join(home, 'torrents')]
    const rest = ['--name', `host-${index}`, '--replicate', '--upload-limit', UPLOAD_LIMIT, '--json']
    return startCli(t, ['seed', shardsOf(index), ...fleet, ...folders, ...rest], hosts[index]!)
  }
  const bootstrap = startBootstrap()
  await bootstrap.waitForEvent('listening', { timeoutMs: START_TIMEOUT_MS })
  for (const [index, original] of originals.entries()) {
    await mkdir(shardsOf(index), { recursive: true })
    await copyFile(original, join(shardsOf(index), basename(original)))
  }
  const processes = originals.map((_, index) => startHost(index))
  const seeded = (process: Cli): number =>
    new Set(process.events().flatMap((event) => (event.event === 'seeding' ? [event.infoHash] : []))).size
  const copies = (): number => processes.reduce((sum, process) => sum + seeded(process), 0)
  const machines: Machines = { network, hosts, processes, copies, startHost, startBootstrap, bootstrap }
  const verify = async (): Promise<void> => {
    const args = ['verify', ...fleet, '--expect-hosts', String(HOSTS), '--expect-copies', String(COPIES)]
    const run = startCli(t, [...args, '--timeout', '90', '--json'], desk) as unknown as RunningProcess<Event>
    const { code } = await run.exited
    const failed = run.events().filter(({ verdict }) => verdict === 'fail')
    assert.deepEqual(failed, [], run.stderr)
    assert.equal(code, 0, run.stderr)
    assert.equal(run.events().at(-1)?.ok, true)
  }
  return { machines, verify }
}

const untilCopies = (machines: Machines, count: number): Promise<unknown> =>
  until(() => machines.copies() >= count, {
    timeoutMs: COPIED_TIMEOUT_MS,
    what: `${count} copies`,
    everyMs: 200,
  })

test('four machines with one shard each go to sixteen copies', { skip: skipWithout() }, async (t) => {
  const { machines, verify } = await startMachines(t)
  await untilCopies(machines, COPIES)
  await verify()
})

test('a host that dies in the middle and comes back', { skip: skipWithout() }, async (t) => {
  const { machines, verify } = await startMachines(t)
  await untilCopies(machines, HOSTS + 3)
  machines.processes[1]!.kill('SIGKILL')
  await machines.processes[1]!.exited
  machines.processes[1] = machines.startHost(1)
  await untilCopies(machines, COPIES)
  await verify()
})

test('a bootstrap that is killed in the middle and comes back', { skip: skipWithout() }, async (t) => {
  const { machines, verify } = await startMachines(t)
  await untilCopies(machines, HOSTS + 3)
  machines.bootstrap.kill('SIGKILL')
  await machines.bootstrap.exited
  await untilCopies(machines, HOSTS + 5) // connections that stand need no DHT
  machines.bootstrap = machines.startBootstrap()
  await untilCopies(machines, COPIES)
  await verify()
})

test('a network that is cut in two in the middle and healed', { skip: skipWithout() }, async (t) => {
  const { machines, verify } = await startMachines(t)
  await untilCopies(machines, HOSTS + 2)
  machines.network.cutOff(machines.hosts.slice(2))
  // Longer than the silence after which a member is given up: both halves have lost each other.
  const lost = (process: Cli): boolean => process.stderr.includes('is lost')
  await until(() => machines.processes.every(lost), {
    timeoutMs: COPIED_TIMEOUT_MS,
    what: 'both halves alone',
  })
  assert.ok(machines.copies() < COPIES, 'the cut came in the middle')
  machines.network.heal()
  await untilCopies(machines, COPIES)
  await verify()
})
