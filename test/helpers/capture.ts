/** The packets a host of a test network sends, caught by tcpdump. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Host } from './netns.ts'
import { startProcess } from './process.ts'
import { until } from './until.ts'

const TIMEOUT_MS = 60_000

export interface Capture {
  /** What was caught, one line a packet. */
  finish(): Promise<readonly string[]>
}

/**
 * Catches what `host` sends and `filter` (pcap-filter(7)) lets through. At the end datagrams go to `probes`
 * (`address:port`), which the filter must let through: that they are caught shows that anything before them was.
 */
export async function capturePackets(
  t: TestContext,
  host: Host,
  filter: string,
  probes: readonly string[],
): Promise<Capture> {
  const args = ['-i', 'any', '-Q', 'out', '-n', '-l', '--immediate-mode', filter]
  const tcpdump = startProcess(t, 'tcpdump', args, { netns: host.netns })
  await until(() => tcpdump.stderr.includes('listening on'), {
    timeoutMs: TIMEOUT_MS,
    what: 'tcpdump to listen',
  })
  return {
    async finish() {
      await sendProbes(t, host, probes)
      const lines = () => tcpdump.stdout.split('\n').filter(Boolean)
      const isProbe = (line: string) =>
        probes.some((probe) => line.includes(`> ${probe.replace(':', '.')}: `))
      // Packets are caught in the order they were sent: after the last probe nothing is on its way.
      await until(() => lines().filter(isProbe).length >= probes.length, {
        timeoutMs: TIMEOUT_MS,
        what: () => `the probes of ${host.netns} to be caught (so far:\n${lines().join('\n')})`,
      })
      return lines().filter((line) => !isProbe(line))
    },
  }
}

async function sendProbes(t: TestContext, host: Host, probes: readonly string[]): Promise<void> {
  const program = `
    const socket = require('node:dgram').createSocket('udp4')
    socket.bind(0, '${host.address}', async () => {
      for (const probe of ${JSON.stringify(probes)}) {
        const [address, port] = probe.split(':')
        await new Promise((resolve) => socket.send('probe', Number(port), address, resolve))
      }
      socket.close()
    })`
  const probing = startProcess(t, process.execPath, ['-e', program], { netns: host.netns })
  assert.deepEqual(await probing.exited, { code: 0, signal: null })
}
