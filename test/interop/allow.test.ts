/** `--allow`: friends are served as ever; to a stranger on the same network no byte goes, and each try is counted. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { type Capture, capturePackets } from '../helpers/capture.ts'
import { writeModel } from '../helpers/gguf.ts'
import { type Host, skipWithout, testNetwork } from '../helpers/netns.ts'
import { type RunningProcess, startCli, startProcess } from '../helpers/process.ts'
import { program } from '../helpers/requirements.ts'
import { untilSaid } from '../helpers/swarm.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'
import { startWebCommand } from '../helpers/web-command.ts'

const TIMEOUT_MS = 60_000
const PORT = 6881
/** TCP segments that carry something, and attempts to connect. */
const WITH_DATA = 'ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) > 0'
const CONNECTING = 'tcp[tcpflags] & (tcp-syn | tcp-ack) == tcp-syn'

const skip = skipWithout(program('tcpdump'))

/** Catches what `from` sends to a stranger from now on: datagrams, what TCP carries, and attempts to connect. */
function captureTo(t: TestContext, from: Host, { address }: Host): Promise<Capture> {
  const filter = `dst host ${address} and (udp or (tcp and (${WITH_DATA} or ${CONNECTING})))`
  return capturePackets(t, from, filter, [`${address}:9`])
}

interface Fleet {
  readonly folder: string
  /** Holds one shard. */
  readonly shards: string
  /** Options that name the bootstrap, and those of a member besides. */
  readonly dht: readonly string[]
  readonly member: readonly string[]
}

/** A meeting place for everybody: there strangers hear of the hosts of a fleet, and these of the strangers. */
async function startMeeting(t: TestContext, meeting: Host): Promise<Fleet> {
  const folder = await temporaryFolder(t)
  const state = ['--state-dir', join(folder, 'bootstrap')]
  const bootstrap = startCli(t, ['bootstrap', ...state, '--bind', meeting.address, '--json'], meeting)
  await bootstrap.waitForEvent('listening', { timeoutMs: TIMEOUT_MS })
  const key = join(folder, 'fleet.key')
  await createKeyFile(key)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  await writeModel(join(shards, 'ours.gguf'), { bytes: 1024 * 1024, seed: 8 })
  const dht = ['--bootstrap', `${meeting.address}:51820`]
  return { folder, shards, dht, member: [...dht, '--fleet-key', key] }
}

/** Starts a host on the fleet's shard; resolves when it is announced. */
async function startSeed(
  t: TestContext,
  { folder, shards, member }: Fleet,
  host: Host,
  args: readonly string[] = [],
): Promise<RunningProcess> {
  const home = join(folder, host.netns)
  const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', join(home, 'torrents')]
  const all = ['seed', shards, ...member, ...folders, '--bind', host.address, '--json', ...args]
  const seed = startCli(t, all, host)
  await seed.waitForEvent('announced', { timeoutMs: TIMEOUT_MS, where: ({ nodes }) => nodes > 0 })
  return seed
}

test('a host, a download and a page that speak with their own network only', { skip }, async (t) => {
  const network = testNetwork(t)
  // Addresses count from .1; the two that are allowed are .2 and .3.
  const [meeting, seedHost, friend, stranger] = ['meeting', 'seed', 'friend', 'stranger'].map((name) =>
    network.host(name),
  ) as [Host, Host, Host, Host]
  const allow = ['--allow', '10.77.0.2/31', '--allow', meeting.address]
  const captures = await Promise.all([seedHost, friend].map((host) => captureTo(t, host, stranger)))
  const fleet = await startMeeting(t, meeting)
  const { folder, dht, member } = fleet
  const seed = await startSeed(t, fleet, seedHost, [...allow, '--port', String(PORT)])
  const { infoHash } = await seed.waitForEvent('seeding', { timeoutMs: TIMEOUT_MS })

  const get = (host: Host, ...args: readonly string[]) =>
    startCli(t, ['get', infoHash, ...dht, '--bind', host.address, '--json', ...args], host)
  const refused = get(
    stranger,
    '--out',
    join(folder, 'none'),
    '--timeout',
    '12',
    '--peer',
    `${seedHost.address}:${PORT}`,
  )
  const got = get(friend, '--out', join(folder, 'got'), ...allow)
  await got.waitForEvent('done', { timeoutMs: TIMEOUT_MS })
  assert.deepEqual(await got.exited, { code: 0, signal: null })
  assert.equal((await refused.exited).code, 3, refused.stderr)

  const tokenFile = join(folder, 'web.token')
  const page = ['--host', friend.address, '--token-file', tokenFile]
  const { url } = await startWebCommand(t, [...member, '--bind', friend.address, ...page, ...allow], friend)
  const token = (await readFile(tokenFile, 'utf8')).trim()
  assert.equal(await fetched(t, stranger, `${url}/api/status`, token), 'refused')
  const status = await until(
    async () => {
      const answer = JSON.parse(await fetched(t, seedHost, `${url}/api/status`, token)) as FleetStatus
      return answer.hosts[0]?.strangersRefused === undefined ? undefined : answer
    },
    { timeoutMs: TIMEOUT_MS, everyMs: 500, what: 'the host on the page' },
  )
  assert.ok(status.hosts[0]!.strangersRefused! > 0)
  assert.ok(status.coordinator.strangersRefused!['connections']! > 0)
  const metrics = await fetched(t, seedHost, `${url}/metrics`, token)
  assert.match(metrics, /^gguf_swarm_host_strangers_refused_total\{.*\} [1-9]/m)
  assert.match(metrics, /^gguf_swarm_strangers_refused_total\{kind="connections"\} [1-9]/m)
  assert.match(metrics, /^gguf_swarm_web_refused_total\{reason="address-not-allowed"\} 1$/m)
  await untilSaid(seed, '[NET] Outside --allow')

  for (const capture of captures) assert.deepEqual(await capture.finish(), [], 'packets to the stranger')
})

test('a verification that visits its own network only', { skip }, async (t) => {
  const network = testNetwork(t)
  const [meeting, host, looker, stranger] = ['meeting', 'host', 'looker', 'stranger'].map((name) =>
    network.host(name),
  ) as [Host, Host, Host, Host]
  const capture = await captureTo(t, looker, stranger)
  const fleet = await startMeeting(t, meeting)
  // Both are members and announced; the stranger is one that is not allowed.
  for (const member of [host, stranger]) await startSeed(t, fleet, member)
  const allow = [host, meeting].flatMap(({ address }) => ['--allow', address])
  const args = [...fleet.member, '--bind', looker.address, ...allow, '--whole']
  const verify = startCli(t, ['verify', ...args], looker)
  assert.deepEqual(await verify.exited, { code: 0, signal: null }, verify.stderr)
  assert.match(verify.stderr, /1\/1 hosts shake hands/)
  assert.deepEqual(await capture.finish(), [], 'packets to the stranger')
})

test('a bootstrap that answers its own network only', { skip }, async (t) => {
  const folder = await temporaryFolder(t)
  const network = testNetwork(t)
  const [meeting, friend, stranger] = ['meeting', 'friend', 'stranger'].map((name) => network.host(name)) as [
    Host,
    Host,
    Host,
  ]
  const capture = await captureTo(t, meeting, stranger)
  const args = [
    '--state-dir',
    join(folder, 'state'),
    '--bind',
    meeting.address,
    '--allow',
    friend.address,
    '--json',
  ]
  const bootstrap = startCli(t, ['bootstrap', ...args], meeting)
  await bootstrap.waitForEvent('listening', { timeoutMs: TIMEOUT_MS })
  const look = (host: Host) => {
    const at = ['--bootstrap', `${meeting.address}:51820`, '--bind', host.address]
    return startCli(
      t,
      ['get', 'ab'.repeat(20), ...at, '--timeout', '6', '--out', join(folder, host.netns)],
      host,
    )
  }
  const [known, unknown] = [look(friend), look(stranger)]
  assert.equal((await known.exited).code, 3)
  assert.equal((await unknown.exited).code, 3)
  assert.match(known.stderr, /asked \d+ DHT nodes, nobody announces it/)
  assert.doesNotMatch(unknown.stderr, /asked \d+ DHT nodes, nobody announces it/)
  await untilSaid(bootstrap, /\[NET\] Outside --allow.* [1-9]\d* DHT packet\(s\) refused/)
  assert.deepEqual(await capture.finish(), [])
})

/** Fetches an address from another host; `refused` where the connection is closed. */
async function fetched(t: TestContext, { netns }: Host, url: string, token: string): Promise<string> {
  const script = `fetch(process.argv[1], { headers: { Authorization: 'Bearer ' + process.argv[2] } })
    .then((answer) => answer.text(), () => 'refused').then((text) => process.stdout.write(text))`
  const asking = startProcess(t, process.execPath, ['-e', script, url, token], { netns })
  await asking.exited
  return asking.stdout
}
