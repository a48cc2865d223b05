/** `--allow`: friends are served as ever; to a stranger on the same network no byte goes, and each try is counted. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { capturePackets } from '../helpers/capture.ts'
import { writeModel } from '../helpers/gguf.ts'
import { type Host, program, skipWithout, testNetwork } from '../helpers/netns.ts'
import { type RunningProcess, startCli, startProcess } from '../helpers/process.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const TIMEOUT_MS = 60_000
const PORT = 6881
/** TCP segments that carry something, and attempts to connect. */
const WITH_DATA = 'ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) > 0'
const CONNECTING = 'tcp[tcpflags] & (tcp-syn | tcp-ack) == tcp-syn'

const skip = skipWithout(program('tcpdump'))

interface Listening {
  readonly event: 'listening'
  readonly url: string
}

test('a host, a download and a page that speak with their own network only', { skip }, async (t) => {
  const folder = await temporaryFolder(t)
  const network = testNetwork(t)
  // Addresses count from .1; the two that are allowed are .2 and .3.
  const [meeting, seedHost, friend, stranger] = ['meeting', 'seed', 'friend', 'stranger'].map((name) =>
    network.host(name),
  ) as [Host, Host, Host, Host]
  const allow = ['--allow', '10.77.0.2/31', '--allow', meeting.address]
  const toStranger = `dst host ${stranger.address} and (udp or (tcp and (${WITH_DATA} or ${CONNECTING})))`
  const capture = await capturePackets(t, seedHost, toStranger, [`${stranger.address}:9`])

  // A meeting place for everybody: there the stranger hears of the host, and the host of the stranger.
  const state = ['--state-dir', join(folder, 'bootstrap')]
  const bootstrap = startCli(t, ['bootstrap', ...state, '--bind', meeting.address, '--json'], meeting)
  await bootstrap.waitForEvent('listening', { timeoutMs: TIMEOUT_MS })
  const key = join(folder, 'fleet.key')
  await createKeyFile(key)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  await writeModel(join(shards, 'ours.gguf'), { bytes: 1024 * 1024, seed: 8 })
  const dht = ['--bootstrap', `${meeting.address}:51820`]
  const home = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const seedArgs = ['seed', shards, ...dht, ...home, '--fleet-key', key, '--bind', seedHost.address, ...allow]
  const seed = startCli(t, [...seedArgs, '--port', String(PORT), '--json'], seedHost)
  const { infoHash } = await seed.waitForEvent('seeding', { timeoutMs: TIMEOUT_MS })
  await seed.waitForEvent('announced', { timeoutMs: TIMEOUT_MS, where: ({ nodes }) => nodes > 0 })

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
  const page = ['--host', friend.address, '--http-port', '0', '--live-port', '0', '--token-file', tokenFile]
  const webArgs = ['web', ...dht, '--fleet-key', key, '--bind', friend.address, ...page, ...allow, '--json']
  const web = startCli(t, webArgs, friend) as unknown as RunningProcess<Listening>
  const { url } = await web.waitForEvent('listening', { timeoutMs: TIMEOUT_MS })
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
  await until(() => seed.stderr.includes('[NET] Outside --allow'), { timeoutMs: TIMEOUT_MS })

  assert.deepEqual(await capture.finish(), [], 'packets of the host to the stranger')
})

test('a verification that visits its own network only', { skip }, async (t) => {
  const folder = await temporaryFolder(t)
  const network = testNetwork(t)
  const [meeting, host, looker, stranger] = ['meeting', 'host', 'looker', 'stranger'].map((name) =>
    network.host(name),
  ) as [Host, Host, Host, Host]
  const filter = `dst host ${stranger.address} and (udp or (tcp and (${WITH_DATA} or ${CONNECTING})))`
  const capture = await capturePackets(t, looker, filter, [`${stranger.address}:9`])
  const state = (name: string) => ['--state-dir', join(folder, name)]
  const bootstrap = startCli(t, ['bootstrap', ...state('dht'), '--bind', meeting.address, '--json'], meeting)
  await bootstrap.waitForEvent('listening', { timeoutMs: TIMEOUT_MS })
  const key = join(folder, 'fleet.key')
  await createKeyFile(key)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  await writeModel(join(shards, 'ours.gguf'), { bytes: 1024 * 1024, seed: 8 })
  const fleet = ['--bootstrap', `${meeting.address}:51820`, '--fleet-key', key]
  // Both are members and announced; the stranger is one that is not allowed.
  for (const member of [host, stranger]) {
    const home = [...state(member.netns), '--torrents-dir', join(folder, `${member.netns}.torrents`)]
    const args = ['seed', shards, ...fleet, ...home, '--bind', member.address, '--json']
    const seed = startCli(t, args, member)
    await seed.waitForEvent('announced', { timeoutMs: TIMEOUT_MS, where: ({ nodes }) => nodes > 0 })
  }
  const allow = [host, meeting].flatMap(({ address }) => ['--allow', address])
  const verify = startCli(t, ['verify', ...fleet, '--bind', looker.address, ...allow, '--whole'], looker)
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
  const capture = await capturePackets(t, meeting, `dst host ${stranger.address} and udp`, [
    `${stranger.address}:9`,
  ])
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
  await until(() => /\[NET\] Outside --allow.* [1-9]\d* DHT packet\(s\) refused/.test(bootstrap.stderr), {
    timeoutMs: TIMEOUT_MS,
  })
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
