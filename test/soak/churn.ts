/**
 * A fleet in which everything comes and goes for half an hour: files, hosts, downloads, people who look. What lives as
 * long as that must keep no more at the end than in the middle, and say of the fleet what is on its disks.
 */
import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { EXIT } from '../../src/errors.ts'
import { Getter } from '../../src/fleet/download/getter.ts'
import type { Network } from '../../src/fleet/network.ts'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { formatShardName } from '../../src/gguf/shards.ts'
import { HashPool } from '../../src/library/hash-pool.ts'
import { parseTorrentId } from '../../src/metainfo/parse.ts'
import { afterTest } from '../helpers/after-test.ts'
import { startNetwork } from '../helpers/foreign-member.ts'
import { writeModel } from '../helpers/gguf.ts'
import { Watched } from '../helpers/growth.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { soak } from '../helpers/soak.ts'
import {
  assertGot,
  type Cli,
  type Host,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startBootstrap,
  startHost,
  startQuietCli,
} from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'

/** Something happens so often: with small files the fleet takes a tenth of a core, and other work goes on. */
const ROUND_MS = 5_000
const SAMPLE_MS = 15_000
/** Files that come and go: few, so that a host that keeps a copy of everything soon has all of them. */
const FILES = 10
/** So small that caches of what is served, which may take 8 MB, do not look like a leak. */
const FILE_BYTES = 40_000
const MAX_VISITORS = 2
const MAX_ATTEMPTS = 3
const FLEET = ['--fleet', 'soak']

/** The files, each with its infohash once somebody has seeded it. */
class Shelf {
  readonly folder: string
  readonly infoHashes = new Map<string, string>()

  constructor(folder: string) {
    this.folder = folder
  }

  async fill(): Promise<void> {
    await mkdir(this.folder)
    for (let number = 1; number <= FILES; number++) {
      const name = Shelf.nameOf(number)
      const split = { no: number - 1, count: FILES }
      await writeModel(join(this.folder, name), { bytes: FILE_BYTES + number, seed: number, name, split })
    }
  }

  static nameOf(number: number): string {
    return formatShardName({ prefix: 'soak', number, count: FILES })
  }

  /** Puts a copy under its final name at once, as a careful person does. */
  async copy(name: string, folder: string): Promise<void> {
    await copyFile(join(this.folder, name), join(folder, `.${name}.tmp`))
    await rename(join(folder, `.${name}.tmp`), join(folder, name))
  }
}

interface Resident extends Host {
  readonly folder: string
}

class Churn {
  readonly #t: TestContext
  readonly #random: SeededBytes
  readonly #shelf: Shelf
  readonly #bootstrap: string
  readonly #home: string
  readonly #residents: readonly Resident[]
  readonly #network: Network
  readonly #pool: HashPool
  readonly url: string
  readonly #visitors: { readonly host: Host; readonly name: string; rounds: number }[] = []
  readonly done: Record<string, number> = {}
  #count = 0

  constructor(parts: {
    t: TestContext
    random: SeededBytes
    shelf: Shelf
    bootstrap: string
    home: string
    residents: readonly Resident[]
    network: Network
    pool: HashPool
    url: string
  }) {
    this.#t = parts.t
    this.#random = parts.random
    this.#shelf = parts.shelf
    this.#bootstrap = parts.bootstrap
    this.#home = parts.home
    this.#residents = parts.residents
    this.#network = parts.network
    this.#pool = parts.pool
    this.url = parts.url
  }

  async round(): Promise<void> {
    const acts = [this.#come, this.#go, this.#fetch, this.#fetch, this.#look, this.#visit, this.#getCommand]
    await this.#leave()
    await acts[this.#random.nextUint32() % acts.length]!.call(this)
  }

  async end(): Promise<void> {
    for (const visitor of this.#visitors) visitor.rounds = 0
    await this.#leave()
  }

  async status(): Promise<FleetStatus> {
    return (await (await fetch(new URL('/api/status', this.url))).json()) as FleetStatus
  }

  #did(what: string): void {
    this.done[what] = (this.done[what] ?? 0) + 1
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#random.nextUint32() % Math.max(1, from.length)]
  }

  async #come(): Promise<void> {
    const host = this.#residents[0]!
    const there = await readdir(host.folder)
    const name = this.#pick([...this.#names()].filter((known) => !there.includes(known)))
    if (name === undefined) return
    const before = host.story(name).length
    await this.#shelf.copy(name, host.folder)
    await until(() => host.story(name).slice(before).includes('seeding'), {
      timeoutMs: PATIENCE_MS,
      what: `${name} is seeded`,
    })
    this.#shelf.infoHashes.set(name, (await host.seeding(name)).infoHash)
    this.#did('files came')
  }

  async #go(): Promise<void> {
    const host = this.#residents[0]!
    const name = this.#pick((await readdir(host.folder)).filter((file) => file.endsWith('.gguf')))
    if (name === undefined) return
    const before = host.story(name).length
    await rm(join(host.folder, name))
    await until(() => host.story(name).slice(before).includes('withdrawn'), {
      timeoutMs: PATIENCE_MS,
      what: `${name} is withdrawn`,
    })
    this.#did('files went')
  }

  /** Fetches in this process, which does it again and again. */
  async #fetch(): Promise<void> {
    const name = this.#pick(
      (await this.status()).shards.filter(({ wholeSeeds }) => wholeSeeds > 0).map((shard) => shard.name),
    )
    const infoHash = name === undefined ? undefined : this.#shelf.infoHashes.get(name)
    if (name === undefined || infoHash === undefined) return
    const out = join(this.#home, `got-${++this.#count}`)
    const options = { id: await parseTorrentId(infoHash), out, peers: [], timeoutMs: PATIENCE_MS }
    const { path } = await new Getter(this.#network, this.#pool, options, { onEvent: () => undefined }).run(
      AbortSignal.timeout(2 * PATIENCE_MS),
    )
    assert.ok(
      (await readFile(path)).equals(await readFile(join(this.#shelf.folder, name))),
      `${name} as it was`,
    )
    await rm(out, { recursive: true })
    this.#did('fetched')
  }

  async #getCommand(): Promise<void> {
    const name = this.#pick(
      (await this.status()).shards.filter(({ wholeSeeds }) => wholeSeeds > 0).map((shard) => shard.name),
    )
    if (name === undefined) return
    const out = join(this.#home, `got-${++this.#count}`)
    for (let attempt = 1; ; attempt++) {
      const got = await runGet(this.#t, [name], { bootstrap: this.#bootstrap, out, args: FLEET })
      // It gives up after 20 s without a host, of which a machine that does other work may give it very little.
      if (got.code === EXIT.notFound && attempt < MAX_ATTEMPTS) {
        this.#did('got nobody')
        this.#t.diagnostic(`${got.stderr.trim().split('\n').at(-1)} (load ${loadavg()[0]?.toFixed(1)})`)
        continue
      }
      await assertGot(got, [join(this.#shelf.folder, name)])
      break
    }
    await rm(out, { recursive: true })
    this.#did('got by name')
  }

  /** Somebody opens the page, and closes it. */
  async #look(): Promise<void> {
    const socket = new WebSocket(new URL('/ws', this.url.replace('http', 'ws')))
    await new Promise((resolve, reject) => socket.once('message', resolve).once('error', reject))
    socket.close()
    assert.match(await (await fetch(new URL('/metrics', this.url))).text(), /gguf_swarm_hosts/)
    this.#did('looked')
  }

  async #visit(): Promise<void> {
    if (this.#visitors.length >= MAX_VISITORS) return
    const home = join(this.#home, `visitor-${++this.#count}`)
    const folder = join(home, 'shards')
    await mkdir(folder, { recursive: true })
    const name = this.#pick([...this.#names()])!
    await this.#shelf.copy(name, folder)
    const host = await startHost(this.#t, folder, { bootstrap: this.#bootstrap, home, args: FLEET })
    this.#shelf.infoHashes.set(name, (await host.seeding(name)).infoHash)
    this.#visitors.push({ host, name, rounds: 2 + (this.#random.nextUint32() % 6) })
    this.#did('hosts joined')
  }

  /** Visitors whose time is over go; one in three without a word. */
  async #leave(): Promise<void> {
    for (const visitor of [...this.#visitors]) {
      if (visitor.rounds-- > 0) continue
      this.#visitors.splice(this.#visitors.indexOf(visitor), 1)
      const isKilled = this.#random.nextUint32() % 3 === 0
      visitor.host.cli.kill(isKilled ? 'SIGKILL' : 'SIGTERM')
      const { code } = await visitor.host.cli.exited
      if (!isKilled) assert.equal(code, 0, 'a host that is told to stops well')
      await rm(visitor.host.home, { recursive: true, force: true })
      this.#did(isKilled ? 'hosts killed' : 'hosts left')
    }
  }

  #names(): readonly string[] {
    return Array.from({ length: FILES }, (_, index) => Shelf.nameOf(index + 1))
  }
}

async function startWeb(
  t: TestContext,
  bootstrap: string,
): Promise<{ readonly web: Cli; readonly url: string }> {
  const ports = ['--http-port', '0', '--live-port', '0', '--port', '0']
  const web = startQuietCli(t, [
    'web',
    ...ports,
    '--json',
    '--bind',
    '127.0.0.1',
    '--bootstrap',
    bootstrap,
    ...FLEET,
  ])
  const { url } = (await web.waitForEvent('listening', { timeoutMs: PATIENCE_MS })) as unknown as {
    url: string
  }
  return { web, url }
}

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
  for (const [index, { id }] of events.entries())
    assert.equal(id, events[0]!.id + index, 'no event is missing')
}

soak('churn', { minutes: 30 }, async (t, { seed, hasTime, report }) => {
  const home = await scratchFolder(t)
  process.env['GGUF_OBSERVED_DIR'] = home
  process.env['NODE_OPTIONS'] = `--import ${join(import.meta.dirname, '../helpers/observed.ts')}`
  const shelf = new Shelf(join(home, 'shelf'))
  await shelf.fill()
  const { address: bootstrap, cli } = await startBootstrap(t)
  const { web, url } = await startWeb(t, bootstrap)
  const residents = [
    await startResident(t, bootstrap, 'plain', []),
    await startResident(t, bootstrap, 'replicating', ['--replicate', '--trust-open-fleet']),
  ]
  const network = await startNetwork(t, bootstrap, { readOnly: true })
  const pool = new HashPool()
  afterTest(t, () => pool[Symbol.asyncDispose]())
  const random = new SeededBytes(seed)
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
