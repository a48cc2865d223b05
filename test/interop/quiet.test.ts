/**
 * A private fleet speaks to itself and to nobody else: no public tracker or bootstrap, no name lookup, no UPnP,
 * NAT-PMP or LSD. Every packet that any of its processes sends to another address is caught.
 */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import { type Capture, capturePackets } from '../helpers/capture.ts'
import { writeModel } from '../helpers/gguf.ts'
import { addDeadEndRoute, type Host, skipWithout, testNetwork } from '../helpers/netns.ts'
import { startCli } from '../helpers/process.ts'
import { program } from '../helpers/requirements.ts'
import { untilSaid } from '../helpers/swarm.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const TIMEOUT_MS = 60_000
/** RFC 5737: an address for documentation, nobody's. */
const NOBODY = '192.0.2.9'
/** Traps a careless program would walk into; a magnet pasted from anywhere may carry them. */
const PUBLIC_TRAPS = `&tr=udp://tracker.opentrackr.org:1337/announce&tr=http://${NOBODY}/announce&ws=http://${NOBODY}/file`
/** Sent at the end, by us: where SSDP, LSD and NAT-PMP would go. */
const PROBES = ['239.255.255.250:1900', '239.192.152.143:6771', `${NOBODY}:5351`]

const skip = skipWithout(program('tcpdump'))

test('a private fleet sends nothing to anybody else', { skip }, async (t) => {
  const folder = await temporaryFolder(t)
  const network = testNetwork(t)
  const names = ['bootstrap', 'seed', 'replica', 'desk'] as const
  const [bootstrapHost, seedHost, replicaHost, desk] = names.map((name) => network.host(name)) as [
    Host,
    Host,
    Host,
    Host,
  ]
  const fleet = [bootstrapHost, seedHost, replicaHost, desk]
  const captures = await Promise.all(fleet.map((host) => captureStrays(t, host, fleet)))

  const key = join(folder, 'fleet.key')
  await createKeyFile(key)
  const [shards, copies] = [join(folder, 'shards'), join(folder, 'copies')]
  for (const path of [shards, copies]) await mkdir(path)
  await writeModel(join(shards, 'quiet.gguf'), { bytes: 4 * 1024 * 1024, seed: 5 })
  const member = ['--bootstrap', `${bootstrapHost.address}:51820`, '--fleet-key', key]
  const at = (host: Host) => ['--bind', host.address, '--json']
  const folders = (name: string) => [
    '--state-dir',
    join(folder, name),
    '--torrents-dir',
    join(folder, 'torrents'),
  ]

  // The host comes first and finds no bootstrap: the moment when a public one would be tempting.
  const ports = ['--port', '6881', '--dht-port', '6882']
  const seed = startCli(
    t,
    ['seed', shards, ...member, ...folders('seed'), ...at(seedHost), ...ports],
    seedHost,
  )
  const { magnet } = await seed.waitForEvent('seeding', { timeoutMs: TIMEOUT_MS })
  const state = ['--port', '51820', '--state-dir', join(folder, 'bootstrap')]
  startCli(t, ['bootstrap', ...state, ...at(bootstrapHost)], bootstrapHost)
  await seed.waitForEvent('announced', { timeoutMs: TIMEOUT_MS, where: ({ nodes }) => nodes > 0 })

  const replicaArgs = ['seed', copies, ...member, ...folders('replica'), ...at(replicaHost), '--replicate']
  const replica = startCli(t, replicaArgs, replicaHost)
  await replica.waitForEvent('replicated', { timeoutMs: TIMEOUT_MS })

  const getArgs = ['get', magnet + PUBLIC_TRAPS, ...member, '--timeout', '60', '--out', join(folder, 'got')]
  const got = startCli(t, [...getArgs, ...at(desk)], desk)
  await got.waitForEvent('done', { timeoutMs: TIMEOUT_MS })
  assert.deepEqual(await got.exited, { code: 0, signal: null })

  const web = startCli(
    t,
    ['web', '--http-port', '0', '--live-port', '0', ...member, '--bind', desk.address],
    desk,
  )
  await untilSaid(web, 'Page, API and metrics')
  for (const command of [['status'], ['verify', '--expect-hosts', '2']]) {
    const looking = startCli(t, [...command, ...member, ...at(desk)], desk)
    assert.deepEqual(await looking.exited, { code: 0, signal: null }, `${command[0]}: ${looking.stderr}`)
  }
  await web.stop()

  for (const [index, host] of fleet.entries()) {
    const strays = await captures[index]!.finish()
    assert.deepEqual(strays, [], `packets from ${host.netns} to the world`)
  }
})

/** Catches what `host` sends to anybody but `fleet`, the world being one hop away. */
function captureStrays(t: TestContext, host: Host, fleet: readonly Host[]): Promise<Capture> {
  addDeadEndRoute(host)
  // The kernel's own IPv6 housekeeping (neighbours, multicast groups) is ICMPv6, some behind a hop-by-hop header.
  const housekeeping = '(icmp6 or (ip6 and ip6[6] == 0))'
  const known = fleet.map(({ address }) => `and not dst host ${address}`)
  return capturePackets(t, host, ['(ip or ip6) and not', housekeeping, ...known].join(' '), PROBES)
}
