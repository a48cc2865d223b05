/**
 * A private fleet speaks to itself and to nobody else: no public tracker or bootstrap, no name lookup, no UPnP,
 * NAT-PMP or LSD. Every packet that any of its processes sends to another address is caught.
 */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { addDeadEndRoute, type Host, program, skipWithout, testNetwork } from '../helpers/netns.ts'
import { type RunningProcess, startCli, startProcess } from '../helpers/process.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const TIMEOUT_MS = 60_000
/** RFC 5737: an address for documentation, nobody's. */
const NOBODY = '192.0.2.9'
/** Traps a careless program would walk into; a magnet pasted from anywhere may carry them. */
const PUBLIC_TRAPS = `&tr=udp://tracker.opentrackr.org:1337/announce&tr=http://${NOBODY}/announce&ws=http://${NOBODY}/file`
/** Sent at the end, by us: that they are caught shows that anything before them would have been. */
const PROBES = ['239.255.255.250:1900', '239.192.152.143:6771', `${NOBODY}:5351`]

const skip = skipWithout(program('tcpdump'))

test('a private fleet sends nothing to anybody else', { skip }, async (t) => {
  const folder = await temporaryFolder(t)
  const network = testNetwork(t)
  const [bootstrapHost, seedHost, getHost] = [
    network.host('bootstrap'),
    network.host('seed'),
    network.host('get'),
  ]
  const fleet = [bootstrapHost, seedHost, getHost]
  const captures = await Promise.all(fleet.map((host) => captureStrays(t, host, fleet)))

  const shards = join(folder, 'shards')
  await mkdir(shards)
  await writeModel(join(shards, 'quiet.gguf'), { bytes: 4 * 1024 * 1024, seed: 5 })
  const bootstrap = `${bootstrapHost.address}:51820`

  // The host comes first and finds no bootstrap: the moment when a public one would be tempting.
  const place = (host: Host, state: string) => [
    '--bind',
    host.address,
    '--state-dir',
    join(folder, state),
    '--json',
  ]
  const torrents = ['--torrents-dir', join(folder, 'torrents')]
  const seedArgs = ['seed', shards, '--bootstrap', bootstrap, ...torrents, ...place(seedHost, 'seed')]
  const seed = startCli(t, [...seedArgs, '--port', '6881', '--dht-port', '6882'], { netns: seedHost.netns })
  const { magnet } = await seed.waitForEvent('seeding', { timeoutMs: TIMEOUT_MS })

  const bootstrapArgs = ['bootstrap', '--port', '51820', ...place(bootstrapHost, 'bootstrap')]
  startCli(t, bootstrapArgs, { netns: bootstrapHost.netns })
  await seed.waitForEvent('announced', { timeoutMs: TIMEOUT_MS, where: ({ nodes }) => nodes > 0 })

  const out = ['--out', join(folder, 'got'), '--bind', getHost.address, '--json']
  const getArgs = ['get', magnet + PUBLIC_TRAPS, '--bootstrap', bootstrap, '--timeout', '60', ...out]
  const got = startCli(t, getArgs, { netns: getHost.netns })
  await got.waitForEvent('done', { timeoutMs: TIMEOUT_MS })
  assert.deepEqual(await got.exited, { code: 0, signal: null })

  for (const [index, host] of fleet.entries()) {
    const strays = await captures[index]!.finish()
    assert.deepEqual(strays, [], `packets from ${host.netns} to the world`)
  }
})

/** Catches what `host` sends to anybody but `fleet`; `finish` gives it, one line a packet. */
async function captureStrays(
  t: TestContext,
  host: Host,
  fleet: readonly Host[],
): Promise<{ finish(): Promise<readonly string[]> }> {
  addDeadEndRoute(host)
  // The kernel's own IPv6 housekeeping (neighbours, multicast groups) is ICMPv6, some behind a hop-by-hop header.
  const housekeeping = '(icmp6 or (ip6 and ip6[6] == 0))'
  const filter = [
    '(ip or ip6) and not',
    housekeeping,
    ...fleet.map(({ address }) => `and not dst host ${address}`),
  ]
  const args = ['-i', 'any', '-Q', 'out', '-n', '-l', '--immediate-mode', filter.join(' ')]
  const tcpdump = startProcess(t, 'tcpdump', args, { netns: host.netns })
  await until(() => tcpdump.stderr.includes('listening on'), {
    timeoutMs: TIMEOUT_MS,
    what: 'tcpdump to listen',
  })

  return {
    async finish() {
      await sendProbes(t, host)
      const lines = () => tcpdump.stdout.split('\n').filter(Boolean)
      const isProbe = (line: string) =>
        PROBES.some((probe) => line.includes(`> ${probe.replace(':', '.')}: `))
      // Packets are caught in the order they were sent: after the last probe nothing is on its way.
      await until(() => lines().filter(isProbe).length >= PROBES.length, {
        timeoutMs: TIMEOUT_MS,
        what: `the probes of ${host.netns} to be caught (so far:\n${lines().join('\n')})`,
      })
      return lines().filter((line) => !isProbe(line))
    },
  }
}

async function sendProbes(t: TestContext, host: Host): Promise<void> {
  const program = `
    const socket = require('node:dgram').createSocket('udp4')
    socket.bind(0, '${host.address}', async () => {
      for (const probe of ${JSON.stringify(PROBES)}) {
        const [address, port] = probe.split(':')
        await new Promise((resolve) => socket.send('probe', Number(port), address, resolve))
      }
      socket.close()
    })`
  const probing: RunningProcess = startProcess(t, process.execPath, ['-e', program], { netns: host.netns })
  assert.deepEqual(await probing.exited, { code: 0, signal: null })
}
