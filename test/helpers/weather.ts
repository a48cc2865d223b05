/**
 * A network of namespaces with bad weather between them (see weather.py). tc's netem would do the same where the
 * kernel has it; this one is for all others, and its chances are seeded.
 */
import type { TestContext } from 'node:test'
import { afterTest, atExit } from './after-test.ts'
import { type Host, ip } from './netns.ts'
import { startProcess } from './process.ts'
import { program, type Requirement } from './requirements.ts'

const READY_TIMEOUT_MS = 30_000

/** What the skip of a test with weather asks for, besides what namespaces need. */
export const WEATHER: Requirement = program('python3')

/** Chances from 0 to 1; each packet's delay is `delayMs` ± `jitterMs`, so that a large jitter changes their order. */
export interface Weather {
  readonly loss?: number
  readonly delayMs?: number
  readonly jitterMs?: number
  readonly duplicate?: number
  /** A number for each host, in their order; those with the same one hear each other. */
  readonly groups?: readonly number[]
}

/** What went over the network so far. */
export interface WeatherCounts {
  readonly frames: number
  readonly lost: number
  readonly doubled: number
  readonly cut: number
}

type Said =
  | { readonly event: 'ready' }
  | ({ readonly event: 'changed'; readonly changes: number } & WeatherCounts)

export interface WeatherNetwork {
  readonly hosts: readonly Host[]
  /** Changes what is named, from the next packet on; gives what went before. */
  change(weather: Weather): Promise<WeatherCounts>
  /** Gives a host another address, as a lease that ended does: connections from the old one are dead. */
  move(host: Host): Host
}

let networks = 0

/** Makes namespaces of these names, 10.78.0.1, 10.78.0.2 … in their order, and the switch between them. */
export async function weatherNetwork(
  t: TestContext,
  names: readonly string[],
  seed: number,
): Promise<WeatherNetwork> {
  const prefix = `gguf-wx-${process.pid}-${++networks}-`
  const hosts: Host[] = names.map((name, index) => ({
    netns: prefix + name,
    address: `10.78.0.${index + 1}`,
  }))
  const remove = (): void => {
    for (const { netns } of hosts) tryIp('netns', 'delete', netns)
  }
  afterTest(t, remove)
  afterTest(t, atExit(remove))
  for (const { netns } of hosts) ip('netns', 'add', netns)
  const script = new URL('weather.py', import.meta.url).pathname
  const python = startProcess<Said>(t, 'python3', [script, ...hosts.map(({ netns }) => netns)], {
    input: true,
  })
  await python.waitForEvent('ready', { timeoutMs: READY_TIMEOUT_MS })
  for (const { netns, address } of hosts) {
    ip('-n', netns, 'link', 'set', 'lo', 'up')
    ip('-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    ip('-n', netns, 'link', 'set', 'eth0', 'up')
  }
  let changes = 0
  const change = async (weather: Weather & { readonly seed?: number }): Promise<WeatherCounts> => {
    const nth = ++changes
    python.send(JSON.stringify(weather))
    return python.waitForEvent('changed', {
      timeoutMs: READY_TIMEOUT_MS,
      where: (event) => event.changes === nth,
    })
  }
  await change({ seed })
  let moved = 100
  return {
    hosts,
    change,
    move({ netns, address }) {
      const next = `10.78.0.${++moved}`
      ip('-n', netns, 'addr', 'add', `${next}/24`, 'dev', 'eth0')
      ip('-n', netns, 'addr', 'del', `${address}/24`, 'dev', 'eth0')
      // Removing the first address of a network removes the others of it, too, unless the kernel is told otherwise.
      tryIp('-n', netns, 'addr', 'add', `${next}/24`, 'dev', 'eth0')
      return { netns, address: next }
    },
  }
}

function tryIp(...args: readonly string[]): void {
  try {
    ip(...args)
  } catch {
    // it is as wanted already
  }
}
