/** What happens in the fleet of the soak `churn`: files, hosts, downloads and people come and go. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { EXIT } from '../../../src/errors.ts'
import { Getter } from '../../../src/fleet/download/getter.ts'
import type { Network } from '../../../src/fleet/network.ts'
import type { FleetStatus } from '../../../src/fleet/status.ts'
import { formatShardName } from '../../../src/gguf/shards.ts'
import type { HashPool } from '../../../src/library/hash-pool.ts'
import { parseTorrentId } from '../../../src/metainfo/parse.ts'
import { writeModel } from '../../helpers/gguf.ts'
import type { Random } from '../../helpers/random.ts'
import { assertGot, type Host, PATIENCE_MS, runGet, startHost } from '../../helpers/swarm.ts'
import { until } from '../../helpers/until.ts'

/** Files that come and go: few, so that a host that keeps a copy of everything soon has all of them. */
const FILES = 10
/** So small that caches of what is served, which may take 8 MB, do not look like a leak. */
const FILE_BYTES = 40_000
const MAX_VISITORS = 2
const MAX_ATTEMPTS = 3
export const FLEET: readonly string[] = ['--fleet', 'soak']

const NAMES = Array.from({ length: FILES }, (_, index) =>
  formatShardName({ prefix: 'soak', number: index + 1, count: FILES }),
)

/** The files, each with its infohash once somebody has seeded it. */
export class Shelf {
  readonly folder: string
  readonly infoHashes = new Map<string, string>()

  constructor(folder: string) {
    this.folder = folder
  }

  async fill(): Promise<void> {
    await mkdir(this.folder)
    for (const [no, name] of NAMES.entries()) {
      const split = { no, count: FILES }
      await writeModel(join(this.folder, name), { bytes: FILE_BYTES + no, seed: no + 1, name, split })
    }
  }

  /** Puts a copy under its final name at once, as a careful person does. */
  async copy(name: string, folder: string): Promise<void> {
    await copyFile(join(this.folder, name), join(folder, `.${name}.tmp`))
    await rename(join(folder, `.${name}.tmp`), join(folder, name))
  }
}

export interface Resident extends Host {
  readonly folder: string
}

export class Churn {
  readonly #t: TestContext
  readonly #random: Random
  readonly #shelf: Shelf
  readonly #bootstrap: string
  readonly #home: string
  readonly #residents: readonly Resident[]
  readonly #network: Network
  readonly #pool: HashPool
  readonly url: string
  readonly #visitors: { readonly host: Host; rounds: number }[] = []
  readonly done: Record<string, number> = {}
  #count = 0

  constructor(parts: {
    t: TestContext
    random: Random
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
    await this.#random.pick(acts).call(this)
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
    return from.length === 0 ? undefined : this.#random.pick(from)
  }

  /** A file that somebody has, as the coordinator knows. */
  async #seededName(): Promise<string | undefined> {
    const { shards } = await this.status()
    return this.#pick(shards.filter(({ wholeSeeds }) => wholeSeeds > 0))?.name
  }

  async #come(): Promise<void> {
    const host = this.#residents[0]!
    const there = await readdir(host.folder)
    const name = this.#pick(NAMES.filter((known) => !there.includes(known)))
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
    const name = await this.#seededName()
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
    const name = await this.#seededName()
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
    const name = this.#random.pick(NAMES)
    await this.#shelf.copy(name, folder)
    const host = await startHost(this.#t, folder, { bootstrap: this.#bootstrap, home, args: FLEET })
    this.#shelf.infoHashes.set(name, (await host.seeding(name)).infoHash)
    this.#visitors.push({ host, rounds: this.#random.between(2, 7) })
    this.#did('hosts joined')
  }

  /** Visitors whose time is over go; one in three without a word. */
  async #leave(): Promise<void> {
    for (const visitor of [...this.#visitors]) {
      if (visitor.rounds-- > 0) continue
      this.#visitors.splice(this.#visitors.indexOf(visitor), 1)
      const isKilled = this.#random.below(3) === 0
      visitor.host.cli.kill(isKilled ? 'SIGKILL' : 'SIGTERM')
      const { code } = await visitor.host.cli.exited
      if (!isKilled) assert.equal(code, 0, 'a host that is told to stops well')
      await rm(visitor.host.home, { recursive: true, force: true })
      this.#did(isKilled ? 'hosts killed' : 'hosts left')
    }
  }
}
