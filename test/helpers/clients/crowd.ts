/** DHT nodes that do nothing but belong to the network, as the world's millions do. */
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Host } from '../netns.ts'
import { startProcess } from '../process.ts'
import { CLIENT_START_TIMEOUT_MS } from './client.ts'

const NODES = fileURLToPath(new URL('crowd-nodes.js', import.meta.url))

/** One node on each address of `host`; resolves when they have found `bootstrap` ('address:port'). */
export async function startCrowd(t: TestContext, host: Host, bootstrap: string): Promise<void> {
  const args = [NODES, bootstrap, ...host.addresses]
  const crowd = startProcess(t, process.execPath, args, { netns: host.netns })
  await crowd.waitForEvent('listening', { timeoutMs: CLIENT_START_TIMEOUT_MS })
}
