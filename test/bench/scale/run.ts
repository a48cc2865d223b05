/**
 * `npm run bench:scale -- [--hosts N] [--shards N] [--own] [--seconds N] [--json FILE] [--profile FOLDER]`: what a
 * coordinator costs. The `web` command is the real process, with its page in a real browser; the hosts are connections
 * that speak the real protocol (members.ts). With `--own` every host has shards of its own, else all have the same.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium, type Page } from 'playwright-core'
import { createKeyFile } from '../../../src/fleet/membership/fleet-key.ts'
import type { HostStatus } from '../../../src/fleet/status.ts'
import { residentBytes } from '../../helpers/resident-bytes.ts'
import { quantile } from '../../helpers/statistics.ts'
import { until } from '../../helpers/until.ts'
import { costSince, MeasuredProcess, stopAll } from '../processes.ts'
import type { Order } from './members.ts'

const CLI = fileURLToPath(new URL('../../../bin/gguf-swarm.js', import.meta.url))
const MEMBERS = fileURLToPath(new URL('members.ts', import.meta.url))
const CHROMIUM = '/usr/bin/chromium'
const PATIENCE_MS = 120_000
/** Members of one process; more would measure the members. */
const A_PROCESS = 50
/** Changes whose way into the page is timed, in each state. */
const CHANGES = 8
/** As seldom as a person looks; a page that lags is seen all the same. */
const PAUSE_MS = 700

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '200' },
    shards: { type: 'string', default: '1000' },
    own: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '20' },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
})
const [hosts, shards, seconds] = [Number(values.hosts), Number(values.shards), Number(values.seconds)]

/** What the coordinator shows of all hosts. */
interface Seen {
  readonly online: number
  readonly copies: number
  readonly fetching: number
}

/** The coordinator, its page, and the members. */
class Stage {
  readonly web: MeasuredProcess
  readonly url: string
  readonly page: Page | null
  readonly members: readonly MeasuredProcess[]
  #offered = 0

  constructor(parts: Pick<Stage, 'web' | 'url' | 'page' | 'members'>) {
    this.web = parts.web
    this.url = parts.url
    this.page = parts.page
    this.members = parts.members
  }

  /** Hosts online and their copies; the whole status would be 20 MB each time. */
  async #seen(): Promise<Seen> {
    const answer = await fetch(new URL('/api/hosts', this.url))
    const { hosts: all } = (await answer.json()) as { readonly hosts: readonly HostStatus[] }
    const online = all.filter(({ state }) => state === 'online')
    const sum = (key: 'seeding' | 'fetching'): number => online.reduce((total, host) => total + host[key], 0)
    return { online: online.length, copies: sum('seeding'), fetching: sum('fetching') }
  }

  async until(what: string, check: (seen: Seen) => boolean): Promise<void> {
    const options = { timeoutMs: PATIENCE_MS, everyMs: PAUSE_MS, what }
    await until(async () => check(await this.#seen()), options)
  }

  order(order: Order): void {
    for (const member of this.members) member.send(order)
  }

  /** Milliseconds from a change at a host until it stands in the page. */
  async change(): Promise<number> {
    const name = `change-${this.#offered++}.gguf`
    const { page, members } = this
    if (page === null || members[0] === undefined) return Number.NaN
    const seen = page.waitForFunction(
      (wanted) => {
        const { document } = globalThis as unknown as Watched
        return document.querySelector('.event-list')?.textContent?.includes(wanted) && Date.now()
      },
      name,
      { polling: 'raf', timeout: PATIENCE_MS },
    )
    members[0].send({ do: 'offer', name })
    const { atMs } = await members[0].event((event) => event['name'] === name, PATIENCE_MS)
    return Number(await (await seen).jsonValue()) - Number(atMs)
  }

  /** What the coordinator costs for a while, and how long changes take to be seen. */
  async observe(title: string): Promise<Record<string, number>> {
    const [before, startedAt] = [this.web.cost(), performance.now()]
    const answers: number[] = []
    const changes: number[] = []
    await this.#drawing() // of before
    while (performance.now() - startedAt < seconds * 1000) {
      const askedAt = performance.now()
      await (await fetch(new URL('/healthz', this.url))).arrayBuffer()
      answers.push(performance.now() - askedAt)
      if (changes.length < CHANGES && this.page !== null) changes.push(await this.change())
      await delay(PAUSE_MS)
    }
    const { cpuSeconds } = costSince(before, this.web.cost())
    const cpu = cpuSeconds / ((performance.now() - startedAt) / 1000)
    const measured = await this.#drawing()
    const found = {
      cpuPercent: cpu * 100,
      rssMb: residentBytes(this.web.pid) / 1e6,
      healthzMedianMs: quantile(answers, 0.5),
      healthzWorstMs: quantile(answers, 1),
      changeToPageMedianMs: quantile(changes, 0.5),
      changeToPageWorstMs: quantile(changes, 1),
      ...measured,
    }
    report(title, found)
    return found
  }

  /** The page's own measures since the last look. */
  async #drawing(): Promise<Record<string, number>> {
    const entries = await this.page?.evaluate(() => (globalThis as unknown as Watched).measured.splice(0))
    const found: Record<string, number> = {}
    for (const kind of ['patch', 'draw']) {
      const own = (entries ?? []).filter(({ name }) => name === `gguf-swarm:${kind}`)
      if (own.length === 0) continue
      const times = own.map(({ duration }) => duration)
      found[`${kind}MedianMs`] = quantile(times, 0.5)
      found[`${kind}WorstMs`] = quantile(times, 1)
    }
    return found
  }
}

/** What is looked at in the page. */
interface Watched {
  /** Its own measures, which it throws away itself. */
  readonly measured: { readonly name: string; readonly duration: number }[]
  readonly document: { querySelector(selector: string): { readonly textContent: string | null } | null }
}

function report(title: string, found: Readonly<Record<string, number>>): void {
  const shown = Object.entries(found).map(([name, value]) => `${name} ${value.toFixed(value < 100 ? 1 : 0)}`)
  console.log(`${title}: ${shown.join(', ')}`)
}

async function openPage(url: string): Promise<Page | null> {
  const browser = await chromium
    .launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
    .catch(() => null)
  if (browser === null) {
    console.error(`no page: ${CHROMIUM} cannot be started`)
    return null
  }
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  await page.addInitScript(() => {
    const measured: { readonly name: string; readonly duration: number }[] = []
    Object.assign(globalThis, { measured })
    new PerformanceObserver((list) => {
      for (const { name, duration } of list.getEntries()) measured.push({ name, duration })
    }).observe({ type: 'measure' })
  })
  await page.goto(url)
  await page.waitForSelector('.figures')
  return page
}

async function setStage(folder: string): Promise<{ stage: Stage; empty: number }> {
  const keyFile = join(folder, 'fleet.key')
  await createKeyFile(keyFile)
  const bind = ['--bind', '127.0.0.1', '--json']
  const state = join(folder, 'bootstrap')
  const fresh = ['--port', '0', '--state-dir', state]
  const bootstrap = new MeasuredProcess(process.execPath, [CLI, 'bootstrap', ...bind, ...fresh])
  const { port } = await bootstrap.event('listening', PATIENCE_MS)
  const address = `127.0.0.1:${port}`
  const ports = ['--http-port', '0', '--live-port', '0']
  const to = ['--bootstrap', address, '--fleet-key', keyFile]
  const profile = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`]
  const web = new MeasuredProcess(process.execPath, [...profile, CLI, 'web', ...bind, ...ports, ...to])
  const { url } = await web.event('listening', PATIENCE_MS)
  const page = await openPage(String(url))
  const empty = residentBytes(web.pid)
  const members = []
  for (let first = 0; first < hosts; first += A_PROCESS) {
    const numbers = [first, Math.min(A_PROCESS, hosts - first), shards, values.own ? 1 : 0].map(String)
    members.push(new MeasuredProcess(process.execPath, [MEMBERS, keyFile, address, ...numbers]))
  }
  return { stage: new Stage({ web, url: String(url), page, members }), empty }
}

async function measure(folder: string): Promise<object> {
  const { stage, empty } = await setStage(folder)
  const { web, members } = stage
  const found = await Promise.all(members.map((member) => member.event('found', PATIENCE_MS)))
  const [startedAt, before] = [Math.min(...found.map((event) => event.at)), web.cost()]
  await Promise.all(members.map((member) => member.event('told', PATIENCE_MS)))
  await stage.until('all to be seen', ({ online, copies }) => online === hosts && copies === hosts * shards)
  const arrival = {
    seconds: (performance.now() - startedAt) / 1000,
    cpuSeconds: costSince(before, web.cost()).cpuSeconds,
    emptyRssMb: empty / 1e6,
    rssMb: residentBytes(web.pid) / 1e6,
  }
  report(`${hosts} hosts × ${shards} shards${values.own ? ' of their own' : ''} arrive`, arrival)
  const rest = await stage.observe('at rest')
  stage.order({ do: 'fill', on: true })
  // Each begins with a line in the log, all at the same time: what is timed must not be pushed out by them.
  await stage.until('all to fetch', ({ fetching }) => fetching >= hosts)
  const filling = await stage.observe('filling, two shards at a time on every host')
  stage.order({ do: 'fill', on: false })
  const killedAt = performance.now()
  for (const { child } of members) child.kill('SIGKILL')
  await Promise.all(members.map(({ exited }) => exited))
  await stage.until('all to be lost', ({ online }) => online === 0)
  const lost = { seconds: (performance.now() - killedAt) / 1000, peakRssMb: web.cost().peakRssBytes / 1e6 }
  report('all killed, seen as lost', lost)
  return { hosts, shards, own: values.own, arrival, rest, filling, lost }
}

const folder = await mkdtemp(join(tmpdir(), 'gguf-swarm-scale-'))
try {
  const found = await measure(folder)
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(found, null, 1)}\n`)
} finally {
  await stopAll()
  await rm(folder, { recursive: true, force: true })
}
process.exit()
