/**
 * A small network for one test: hosts are network namespaces on one bridge, 10.77.0.0/24, with real
 * addresses, because standard clients refuse to find anybody on loopback. The bridge lives in a namespace of
 * its own, so nothing of this machine's interfaces or routes is touched.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { afterTest, atExit } from './after-test.ts'
import { program, type Requirement, ROOT_USER, skipUnless } from './requirements.ts'

/** The last usable address, kept free: {@link addDeadEndRoute} sends there what has no business on the network. */
const DEAD_END_HOST_NUMBER = 254
const DEAD_END_MAC = '02:67:67:75:66:01'

export interface Host {
  readonly netns: string
  readonly address: string
}

export interface TestNetwork {
  /** Adds a host with an IPv4 address of its own. */
  host(name: string): Host
  /** Cuts these hosts off from the others; among themselves they go on. */
  cutOff(hosts: readonly Host[]): void
  /** Makes it one network again. */
  heal(): void
  /** From now on the host's link carries so much in each direction. */
  limit(host: Host, megabitsPerSecond: number): void
}

/** The `skip` option of a test that needs root, `ip` and these (see {@link skipUnless}). */
export function skipWithout(...requirements: readonly Requirement[]): string | false {
  return skipUnless(ROOT_USER, program('ip'), ...requirements)
}

let networksMade = 0

/** A new network without hosts; it and all processes still in it are gone after the test. */
export function testNetwork(t: TestContext): TestNetwork {
  // Namespaces are named for the whole machine: the pid keeps two test runs apart.
  const prefix = `gguf-${process.pid}-${++networksMade}-`
  const switchNetns = `${prefix}switch`
  const made: string[] = []
  const remove = () => {
    // First in, last out: the bridge goes when nothing is plugged into it any more.
    for (const netns of made.splice(0).reverse()) removeNamespace(netns)
  }
  afterTest(t, remove)
  afterTest(t, atExit(remove))

  const addNamespace = (netns: string) => {
    ip('netns', 'add', netns)
    made.push(netns)
    ip('-n', netns, 'link', 'set', 'lo', 'up')
  }
  addNamespace(switchNetns)
  // No spanning tree, no multicast snooping: a plain switch that forwards from the first packet on.
  ip('-n', switchNetns, 'link', 'add', 'bridge', 'type', 'bridge', 'mcast_snooping', '0')
  ip('-n', switchNetns, 'link', 'set', 'bridge', 'up')

  const portOf = new Map<string, string>()
  const plug = (port: string, bridge: string): void =>
    ip('-n', switchNetns, 'link', 'set', port, 'master', bridge)
  let isCut = false
  let ports = 0
  let nextHostNumber = 1
  return {
    cutOff(hosts) {
      if (!isCut) {
        ip('-n', switchNetns, 'link', 'add', 'other', 'type', 'bridge', 'mcast_snooping', '0')
        ip('-n', switchNetns, 'link', 'set', 'other', 'up')
        isCut = true
      }
      for (const { netns } of hosts) plug(portOf.get(netns)!, 'other')
    },
    heal() {
      for (const port of portOf.values()) plug(port, 'bridge')
    },
    limit({ netns }, megabitsPerSecond) {
      shape(netns, 'eth0', megabitsPerSecond)
      shape(switchNetns, portOf.get(netns)!, megabitsPerSecond)
    },
    host(name) {
      if (nextHostNumber >= DEAD_END_HOST_NUMBER) throw new Error('the test network is full')
      const netns = prefix + name
      const port = `port${++ports}`
      const address = `10.77.0.${nextHostNumber++}`
      portOf.set(netns, port)
      addNamespace(netns)
      ip('link', 'add', 'eth0', 'netns', netns, 'type', 'veth', 'peer', 'name', port, 'netns', switchNetns)
      ip('-n', switchNetns, 'link', 'set', port, 'master', 'bridge', 'up')
      ip('-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
      ip('-n', netns, 'link', 'set', 'eth0', 'up')
      return { netns, address }
    },
  }
}

/**
 * Gives a host a default route to a neighbour that is not there, so that every packet it would send to the
 * world leaves its interface, where a capture sees it, and ends there.
 */
export function addDeadEndRoute({ netns }: Host): void {
  const router = `10.77.0.${DEAD_END_HOST_NUMBER}`
  ip('-n', netns, 'neigh', 'add', router, 'lladdr', DEAD_END_MAC, 'dev', 'eth0', 'nud', 'permanent')
  ip('-n', netns, 'route', 'add', 'default', 'via', router)
}

/** A token bucket: bursts of a few large segments, and a queue of 50 ms as routers have. */
function shape(netns: string, device: string, megabitsPerSecond: number): void {
  const bucket = ['rate', `${megabitsPerSecond}mbit`, 'burst', '256kb', 'latency', '50ms']
  const command = ['tc', 'qdisc', 'add', 'dev', device, 'root', 'tbf', ...bucket]
  execFileSync('ip', ['netns', 'exec', netns, ...command], { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Ends what still runs in the namespace, which belongs to this test alone, and removes it. */
function removeNamespace(netns: string): void {
  const pids = spawnSync('ip', ['netns', 'pids', netns], { encoding: 'utf8' }).stdout ?? ''
  for (const pid of pids.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // it ended by itself meanwhile
    }
  }
  ip('netns', 'delete', netns)
}

export function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
