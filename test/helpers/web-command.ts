/** `gguf-swarm web` as a process of its own, on free ports. */
import type { TestContext } from 'node:test'
import type { StartOptions } from './process.ts'
import { type Cli, PATIENCE_MS, startQuietCli } from './swarm.ts'

export interface WebCommand {
  readonly web: Cli
  readonly url: string
  readonly liveUrl: string
  /** Of page, API and metrics. */
  readonly port: number
}

/** Starts it; resolves when it listens. */
export async function startWebCommand(
  t: TestContext,
  args: readonly string[],
  options: StartOptions = {},
): Promise<WebCommand> {
  const web = startQuietCli(t, ['web', '--http-port', '0', '--live-port', '0', '--json', ...args], options)
  const listening = await web.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  // It tells addresses where a host tells ports.
  const { url, liveUrl } = listening as unknown as { readonly url: string; readonly liveUrl: string }
  return { web, url, liveUrl, port: Number(new URL(url).port) }
}
