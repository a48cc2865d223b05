/**
 * Child processes that are measured: CPU seconds and peak memory of a process and its children, from /proc.
 * They all end with the bench.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { atExit } from '../helpers/after-test.ts'
import type { Cost } from './model.ts'

/** Jiffies of /proc; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
/** VmHWM only ever rises, so that a look this often loses what a process took in its last moments at most. */
const SAMPLE_MS = 40
const STOP_TIMEOUT_MS = 5_000
const KEPT_CHARACTERS = 64 * 1024

export interface BenchEvent {
  readonly event: string
  readonly [key: string]: unknown
}

const running = new Set<MeasuredProcess>()

/** CPU seconds of the children of this process that have ended. */
let endedChildrenSeconds = ownChildrenSeconds()

export class MeasuredProcess {
  readonly child: ChildProcess
  readonly title: string
  readonly startedAt = performance.now()
  readonly exited: Promise<number | null>
  /** When it ended, by performance.now. */
  endedAt: number | undefined
  output = ''
  #cpuSeconds = 0
  #peakRssBytes = 0
  #unfinished = ''
  readonly #timer: NodeJS.Timeout
  readonly #forget = atExit(() => this.child.kill('SIGKILL'))
  readonly #events: (BenchEvent & { readonly at: number })[] = []
  readonly #counts = new Map<string, number>()
  readonly #waiting = new Set<() => void>()

  constructor(
    command: string,
    args: readonly string[],
    { env, netns }: { readonly env?: NodeJS.ProcessEnv; readonly netns?: string | undefined } = {},
  ) {
    this.title = [command.split('/').at(-1), ...args].join(' ')
    // `ip` becomes the command: it is one process.
    const line = netns === undefined ? [command, ...args] : ['ip', 'netns', 'exec', netns, command, ...args]
    this.child = spawn(line[0]!, line.slice(1), { env: { ...process.env, ...env }, stdio: 'pipe' })
    const { stdout, stderr, stdin } = this.child
    stdin?.on('error', () => {})
    stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    stderr?.setEncoding('utf8').on('data', (text: string) => this.#keep(text))
    running.add(this)
    this.#timer = setInterval(() => this.#look(), SAMPLE_MS)
    const { promise, resolve } = Promise.withResolvers<number | null>()
    this.exited = promise
    this.child.on('error', (error) => this.#keep(`${error.message}\n`))
    this.child.once('exit', () => this.#ended())
    this.child.once('close', (code) => {
      if (this.endedAt === undefined) this.#ended() // it could not be started, and what never ran does not exit
      this.#wake()
      resolve(code)
    })
  }

  get pid(): number {
    return this.child.pid ?? -1
  }

  /** What it cost so far. */
  cost(): Cost {
    if (this.endedAt === undefined) this.#look()
    return { cpuSeconds: this.#cpuSeconds, peakRssBytes: this.#peakRssBytes }
  }

  /** The first event for which `wanted` holds; `at` is when it was read, by performance.now. */
  async event(
    wanted: string | ((event: BenchEvent) => boolean),
    timeoutMs: number,
  ): Promise<BenchEvent & { readonly at: number }> {
    const accepts = typeof wanted === 'string' ? (event: BenchEvent) => event.event === wanted : wanted
    const deadline = AbortSignal.timeout(timeoutMs)
    for (;;) {
      const found = this.#events.find(accepts)
      if (found !== undefined) return found
      if (this.endedAt !== undefined) await this.exited
      const last = this.#events.find(accepts)
      if (last !== undefined) return last
      if (this.endedAt !== undefined || deadline.aborted) {
        const why = deadline.aborted ? `not within ${timeoutMs} ms` : 'it ended first'
        throw new Error(`${this.title}: no event ${wanted}: ${why}\n${this.output.slice(-2000)}`)
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake)
          deadline.removeEventListener('abort', wake)
          resolve()
        }
        this.#waiting.add(wake)
        deadline.addEventListener('abort', wake, { once: true })
      })
    }
  }

  /** Resolves when it has told so many events of a name. */
  async times(name: string, count: number, timeoutMs: number): Promise<void> {
    await this.event(() => (this.#counts.get(name) ?? 0) >= count, timeoutMs).catch((cause: unknown) => {
      throw new Error(`${name}: ${this.#counts.get(name) ?? 0} of ${count} times`, { cause })
    })
  }

  /** Resolves when it has ended with code 0. */
  async success(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), timeoutMs)
    const code = await this.exited
    clearTimeout(timer)
    if (code !== 0) throw new Error(`${this.title} ended with ${code}\n${this.output.slice(-2000)}`)
  }

  send(order: object): void {
    this.child.stdin?.write(`${JSON.stringify(order)}\n`)
  }

  async stop(): Promise<void> {
    if (this.endedAt === undefined) {
      this.child.kill('SIGTERM')
      const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await this.exited
      clearTimeout(timer)
    }
  }

  #read(text: string): void {
    this.#keep(text)
    const lines = (this.#unfinished + text).split('\n')
    this.#unfinished = lines.pop() ?? ''
    const at = performance.now()
    for (const line of lines) {
      if (!line.startsWith('{')) continue
      const event = JSON.parse(line) as BenchEvent
      this.#events.push({ ...event, at })
      this.#counts.set(event.event, (this.#counts.get(event.event) ?? 0) + 1)
    }
    this.#wake()
  }

  #keep(text: string): void {
    this.output = (this.output + text).slice(-KEPT_CHARACTERS)
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #look(): void {
    const { cpuSeconds, peakRssBytes } = costOfTree(this.pid)
    this.#cpuSeconds = Math.max(this.#cpuSeconds, cpuSeconds)
    this.#peakRssBytes = Math.max(this.#peakRssBytes, peakRssBytes)
  }

  /** The kernel has just added what it took in all to our own count. */
  #ended(): void {
    this.endedAt = performance.now()
    clearInterval(this.#timer)
    running.delete(this)
    this.#forget()
    const before = endedChildrenSeconds
    endedChildrenSeconds = ownChildrenSeconds()
    this.#cpuSeconds = Math.max(this.#cpuSeconds, endedChildrenSeconds - before)
    this.#wake()
  }
}

/** Ends what a failed contender left running. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((one) => one.stop()))
}

function costOfTree(pid: number): Cost {
  const stat = statOf(pid)
  if (stat === null) return { cpuSeconds: 0, peakRssBytes: 0 }
  let peakRssBytes = 0
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    peakRssBytes = Number(kilobytes ?? 0) * 1024
  } catch {
    // it has just ended
  }
  let cpuSeconds = (stat.utime + stat.stime + stat.cutime + stat.cstime) / TICKS_PER_SECOND
  for (const child of childrenOf(pid)) {
    const cost = costOfTree(child)
    cpuSeconds += cost.cpuSeconds
    peakRssBytes += cost.peakRssBytes
  }
  return { cpuSeconds, peakRssBytes }
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function ownChildrenSeconds(): number {
  const stat = statOf(process.pid)
  return stat === null ? 0 : (stat.cutime + stat.cstime) / TICKS_PER_SECOND
}

interface ProcStat {
  readonly utime: number
  readonly stime: number
  readonly cutime: number
  readonly cstime: number
}

function statOf(pid: number): ProcStat | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return null
  }
  // The name in parentheses may hold anything; the numbers come after its end (proc(5): utime is field 14).
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number)
  return { utime, stime, cutime, cstime }
}

/** CPU seconds of this process and all its children so far, for what is not of the bench. */
export function benchCpuSeconds(): number {
  return costOfTree(process.pid).cpuSeconds
}

/** CPU seconds that the whole machine was busy so far, time stolen by its neighbours included. */
export function machineCpuSeconds(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n')
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
}

/** The difference of two costs of one process; the peak is the later one's. */
export function costSince(before: Cost, now: Cost): Cost {
  return { cpuSeconds: now.cpuSeconds - before.cpuSeconds, peakRssBytes: now.peakRssBytes }
}

/** Of processes that run at the same time. */
export function sumCosts(costs: readonly Cost[]): Cost {
  return {
    cpuSeconds: costs.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    peakRssBytes: costs.reduce((sum, { peakRssBytes }) => sum + peakRssBytes, 0),
  }
}
