/**
 * A fleet in which everything comes and goes for half an hour: files, hosts, downloads, people who look. What lives as
 * long as that must keep no more at the end than in the middle, and say of the fleet what is on its disks.
 */
import assert from 'node:assert/strict'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { HashPool } from '../../src/library/hash-pool.ts'
import { afterTest } from '../helpers/after-test.ts'
import { startNetwork } from '../helpers/foreign-member.ts'
import { Watched } from '../helpers/growth.ts'
import { Random } from '../helpers/random.ts'
import { soak } from '../helpers/soak.ts'
import { PATIENCE_MS, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { startWebCommand } from '../helpers/web-command.ts'
import { Churn, FLEET, type Resident, Shelf } from './churn/acts.ts'

/** Something happens so often: with small files the fleet takes a tenth of a core, and other work goes on. */
const ROUND_MS = 5_000
const SAMPLE_MS = 15_000

async function startResident(
  t: TestContext,
  bootstrap: string,
  name: string,
  args: readonly string[],
): Promise<Resident> {
  const home = await scratchFolder(t)
  const folder = join(home, 'shards')
  await mkdir(folder)
  const host = await startHost(t, folder, { bootstrap, home, args: [...FLEET, '--name', name, ...args] })
  await host.address()
  return { ...host, folder }
}

/** What the coordinator says is what lies on the disks of those that are there. */
async function assertConsistent(churn: Churn, residents: readonly Resident[]): Promise<void> {
  await until(
    async () => {
      const { hosts, totals, shards } = await churn.status()
      const onDisk = await Promise.all(residents.map(({ folder }) => readdir(folder)))
      const files = onDisk.flat().filter((name) => name.endsWith('.gguf') && !name.startsWith('.'))
      return (
        hosts.length === residents.length &&
        totals.hostsLost === 0 &&
        totals.copies === files.length &&
        totals.copies === hosts.reduce((sum, { seeding }) => sum + seeding, 0) &&
        shards.length === new Set(files).size &&
        shards.every(({ wholeSeeds, name }) => wholeSeeds === files.filter((file) => file === name).length)
      )
    },
    { timeoutMs: 2 * PATIENCE_MS, everyMs: 1_000, what: 'the coordinator counts what is there' },
  )
  const { events } = (await (await fetch(new URL('/api/events', churn.url))).json()) as {
    events: { id: number }[]
  }
  for (const [index, { id }] of events.entries()) {
    assert.equal(id, events[0]!.id + index, 'no event is missing')
  }
}

soak('churn', { minutes: 30 }, async (t, { seed, hasTime, report }) => {
  const home = await scratchFolder(t)
  process.env['GGUF_OBSERVED_DIR'] = home
  process.env['NODE_OPTIONS'] = `--import ${join(import.meta.dirname, '../helpers/observed.ts')}`
  const shelf = new Shelf(join(home, 'shelf'))
  await shelf.fill()
  const { address: bootstrap, cli } = await startBootstrap(t)
  const webArgs = ['--port', '0', '--bind', '127.0.0.1', '--bootstrap', bootstrap, ...FLEET]
  const { web, url } = await startWebCommand(t, webArgs)
  const residents = [
    await startResident(t, bootstrap, 'plain', []),
    await startResident(t, bootstrap, 'replicating', ['--replicate', '--trust-open-fleet']),
  ]
  const network = await startNetwork(t, bootstrap, { readOnly: true })
  const pool = new HashPool()
  afterTest(t, () => pool[Symbol.asyncDispose]())
  const random = new Random(seed)
  const churn = new Churn({ t, random, shelf, bootstrap, home, residents, network, pool, url })
  const watched = [
    new Watched('bootstrap', cli.pid, home),
    new Watched('web', web.pid, home),
    new Watched('host', residents[0]!.cli.pid, home),
    new Watched('replicating host', residents[1]!.cli.pid, home),
    new Watched('getter', process.pid, home),
  ]
  let sampledAt = 0
  while (hasTime()) {
    const begun = performance.now()
    await churn.round()
    if (begun - sampledAt > SAMPLE_MS) {
      for (const one of watched) await one.sample()
      sampledAt = begun
    }
    await delay(Math.max(0, ROUND_MS - (performance.now() - begun)))
  }
  await churn.end()
  report({ ...churn.done, samples: watched[0]!.samples.length })
  for (const one of watched) report(one.figures())
  await assertConsistent(churn, residents)
  for (const one of watched) one.assertFlat()
})
