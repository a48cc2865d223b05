/** A small keyed fleet of real processes, each with a copy of every shard, and `verify` run against it. */
import assert from 'node:assert/strict'
import { copyFile, link, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import type { Fleet } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import { startCli } from '../helpers/process.ts'
import { ended, PATIENCE_MS, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'

export const SHARD_BYTES = 1_500_000
export const NAMES = ['tiny-00001-of-00002.gguf', 'tiny-00002-of-00002.gguf'] as const
const CHECK_COUNT = 10

export type VerifiedFleet = Pick<Fleet, 'folder' | 'keyFile' | 'bootstrap' | 'hosts' | 'memberArgs'>

export interface KitOptions {
  readonly hosts?: number
  readonly json?: boolean
  /** Gives each shard of each host a second name outside the watched folder, `<folder>/<host>/<shard>`. */
  readonly isLinked?: boolean
  /** For every host. */
  readonly args?: readonly string[]
}

/** Starts a fleet whose hosts have all shards each; resolves when every one is registered. */
export async function startWholeFleet(
  t: TestContext,
  { hosts: count = 3, json = true, isLinked = false, args: more = [] }: KitOptions = {},
): Promise<VerifiedFleet> {
  const folder = await scratchFolder(t)
  const keyFile = join(folder, 'fleet.key')
  await createKeyFile(keyFile)
  const bootstrap = await startBootstrap(t)
  for (const [seed, name] of NAMES.entries())
    await writeModel(join(folder, name), { bytes: SHARD_BYTES, seed })
  const hosts = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const name = `host-${index}`
      const shards = join(folder, name, 'shards')
      await mkdir(shards, { recursive: true })
      for (const shard of NAMES) {
        await copyFile(join(folder, shard), join(shards, shard))
        if (isLinked) await link(join(shards, shard), join(folder, name, shard))
      }
      const args = ['--fleet-key', keyFile, '--name', name, ...more]
      const home = join(folder, name)
      const host = await startHost(t, shards, { bootstrap: bootstrap.address, home, args, json })
      return { ...host, name, folder: shards }
    }),
  )
  if (json) for (const host of hosts) for (const shard of NAMES) await host.announced(shard)
  const memberArgs = ['--bind', '127.0.0.1', '--bootstrap', bootstrap.address, '--fleet-key', keyFile]
  return { folder, keyFile, bootstrap, hosts, memberArgs }
}

export interface CheckEvent {
  readonly event: 'check'
  readonly id: string
  readonly verdict: 'pass' | 'fail' | 'skipped'
  readonly evidence: readonly string[]
  readonly problems: readonly string[]
  readonly repeat: readonly string[]
}

export interface Verified {
  readonly code: number | null
  readonly checks: ReadonlyMap<string, CheckEvent>
  /** Ids of those that failed, and of those that could not be looked at. */
  readonly failed: readonly string[]
  readonly skipped: readonly string[]
  readonly verdict: {
    readonly ok: boolean
    readonly failed: number
    readonly hosts: number
    readonly copies: number
  }
  readonly stderr: string
  readonly stdout: string
}

/** Runs `verify --json` to its end. */
export async function runVerify(
  t: TestContext,
  { memberArgs }: Pick<VerifiedFleet, 'memberArgs'>,
  args: readonly string[] = [],
  netns?: string,
): Promise<Verified> {
  const cli = startCli(t, ['verify', ...memberArgs, '--json', ...args], netns === undefined ? {} : { netns })
  const { code, stderr, stdout } = await ended(cli, 3 * PATIENCE_MS)
  const events = cli.events() as unknown as readonly { readonly event: string }[]
  const checks = events.filter(({ event }) => event === 'check') as unknown as CheckEvent[]
  const last = events.at(-1)
  assert.doesNotMatch(stderr, /\(node:\d+\)|Warning:/)
  assert.equal(last?.event, 'verdict', `the verdict comes last: ${stdout}${stderr}`)
  assert.equal(checks.length, CHECK_COUNT, 'every item is decided')
  const of = (verdict: CheckEvent['verdict']) =>
    checks.filter((check) => check.verdict === verdict).map(({ id }) => id)
  const verified: Verified = {
    code,
    checks: new Map(checks.map((check) => [check.id, check])),
    failed: of('fail'),
    skipped: of('skipped'),
    verdict: last as unknown as Verified['verdict'],
    stderr,
    stdout,
  }
  for (const { id, verdict, problems, evidence } of checks) {
    t.diagnostic(`${verdict} ${id}: ${evidence[0] ?? ''} ${problems.join(' ')}`)
  }
  return verified
}
