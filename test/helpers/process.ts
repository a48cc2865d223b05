/**
 * Child processes that live as long as one test: started in a network namespace when asked, read as
 * newline-delimited JSON events, stopped whatever happens, and heard when the test fails.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import type { TestContext } from 'node:test'
import type { GetEvent, SeedEvent } from '../../src/fleet/events.ts'
import { afterTest, atExit, hasFailed } from './after-test.ts'
import { programPath } from './program.ts'
import { until } from './until.ts'

/** How much of each output stream is kept: plenty for any message, bounded for a process that babbles. */
const KEPT_OUTPUT_CHARACTERS = 256 * 1024
/** A `get` of some minutes prints some hundred progress events; more than this many are not worth keeping. */
const KEPT_EVENTS = 20_000
/** How much of each stream a failed test shows. */
const TAIL_LINES = 25
/** How long a process may take to end after SIGTERM before it is killed. */
const STOP_TIMEOUT_MS = 6_000
/** How long output is still read after the end: a child of the child may hold the pipes open for ever. */
const DRAIN_TIMEOUT_MS = 1_000

/** The script of the program under test, for node. */
export const CLI: string = programPath()

/** What `gguf-swarm … --json` prints, one a line; the `listening` of `bootstrap` has its `port` alone. */
export type CliEvent = { readonly time: string } & (SeedEvent | GetEvent)

/** Any program that prints one JSON object a line, each with its `event`. */
export interface AnyEvent {
  readonly event: string
}

/** The member of the union `E` whose `event` is `Name`. */
export type EventNamed<E extends AnyEvent, Name extends E['event']> = Extract<E, { readonly event: Name }>

export interface StartOptions {
  /** Name of the network namespace to run in; the test's own without it. */
  readonly netns?: string
  /** Added to the environment of the test. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Opens its standard input for `send`; otherwise it is empty. */
  readonly input?: boolean
}

export interface WaitOptions<E> {
  readonly timeoutMs: number
  /** Narrows the wait to the events it accepts. */
  readonly where?: (event: E) => boolean
}

export interface ExitStatus {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface RunningProcess<E extends AnyEvent = CliEvent> {
  readonly pid: number
  /** The last part of what it has printed so far. */
  readonly stdout: string
  readonly stderr: string
  /** The events printed so far, oldest first. */
  events(): readonly E[]
  /**
   * The first event, past or to come, of this name (and accepted by `where`), or accepted by the predicate.
   * Rejects when the process ends without it or `timeoutMs` runs out.
   */
  waitForEvent<Name extends E['event']>(
    name: Name,
    options: WaitOptions<EventNamed<E, Name>>,
  ): Promise<EventNamed<E, Name>>
  waitForEvent(predicate: (event: E) => boolean, options: { readonly timeoutMs: number }): Promise<E>
  /** Resolves, never rejects, when the process has ended and all its output has been read. */
  readonly exited: Promise<ExitStatus>
  /** SIGTERM, then SIGKILL if it does not end; safe to call again. */
  stop(): Promise<ExitStatus>
  kill(signal: NodeJS.Signals): void
  /** Writes one line to its standard input. */
  send(line: string): void
  /** Closes its standard input. */
  endInput(): void
}

/** Runs `gguf-swarm` of this checkout with the Node that runs the tests. */
export function startCli(
  t: TestContext,
  args: readonly string[],
  options: StartOptions = {},
): RunningProcess<CliEvent> {
  return startProcess<CliEvent>(t, process.execPath, [CLI, ...args], options)
}

/** What a child has printed so far, and how it has ended. */
class Output<E extends AnyEvent> {
  stdout = ''
  stderr = ''
  readonly events: E[] = []
  status: ExitStatus | undefined
  readonly exited: Promise<ExitStatus>
  readonly #title: string
  #unfinishedLine = ''

  constructor(child: ChildProcessWithoutNullStreams, title: string) {
    this.#title = title
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-KEPT_OUTPUT_CHARACTERS)
    })
    this.exited = new Promise<ExitStatus>((resolve) => {
      child.on('exit', () => {
        const timer = setTimeout(() => {
          child.stdout.destroy()
          child.stderr.destroy()
        }, DRAIN_TIMEOUT_MS)
        child.once('close', () => clearTimeout(timer))
      })
      child.on('close', (code, signal) => {
        this.status = { code, signal }
        resolve(this.status)
      })
    })
  }

  async waitForEvent(
    wanted: string | ((event: E) => boolean),
    { timeoutMs, where = () => true }: WaitOptions<never>,
  ): Promise<E> {
    const accepts =
      typeof wanted === 'string' ? (event: E) => event.event === wanted && where(event as never) : wanted
    const what = `${typeof wanted === 'string' ? `event "${wanted}"` : 'the event'} of ${this.#title}`
    const find = () => this.events.find(accepts)
    await until(() => find() ?? this.status, { timeoutMs, what })
    const event = find()
    if (event !== undefined) return event
    throw new Error(`${what}: it ended first, ${describe(this.status!)}\n${tail('stderr', this.stderr)}`)
  }

  /** The last of both streams. */
  tails(): string {
    return `${tail('stdout', this.stdout)}${tail('stderr', this.stderr)}`
  }

  #read(text: string): void {
    this.stdout = (this.stdout + text).slice(-KEPT_OUTPUT_CHARACTERS)
    const lines = (this.#unfinishedLine + text).split('\n')
    this.#unfinishedLine = lines.pop()!.slice(0, KEPT_OUTPUT_CHARACTERS)
    for (const line of lines) {
      const event = parseEvent<E>(line)
      if (event !== undefined) this.events.push(event)
    }
    if (this.events.length > KEPT_EVENTS) this.events.splice(0, this.events.length - KEPT_EVENTS)
  }
}

/** Runs `command`; it is stopped after the test, and its last output is shown when the test has failed. */
export function startProcess<E extends AnyEvent = CliEvent>(
  t: TestContext,
  command: string,
  args: readonly string[],
  options: StartOptions = {},
): RunningProcess<E> {
  // `ip netns exec` replaces itself with the command, so the child's pid is the command's own.
  const argv = options.netns ? ['ip', 'netns', 'exec', options.netns, command, ...args] : [command, ...args]
  const child = spawn(argv[0]!, argv.slice(1), {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: 'pipe',
  })
  const title = [command, ...args].join(' ')
  if (child.pid === undefined) {
    child.on('error', () => {}) // without a listener the same failure would end the test file
    throw new Error(`cannot start ${title}`)
  }
  // A child must not outlive the test file, even when the runner ends that for being too slow.
  const forget = atExit(() => child.kill('SIGKILL'))
  child.once('exit', forget)

  const { pid } = child
  child.stdin.on('error', () => {}) // it has ended; whoever waits for it learns that from its exit
  if (!options.input) child.stdin.end()
  const output = new Output<E>(child, title)
  let stopping: Promise<ExitStatus> | undefined

  async function stop(): Promise<ExitStatus> {
    if (output.status !== undefined) return output.status
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    return output.exited.finally(() => clearTimeout(timer))
  }

  const running: RunningProcess<E> = {
    pid,
    get stdout() {
      return output.stdout
    },
    get stderr() {
      return output.stderr
    },
    events: () => output.events,
    waitForEvent: output.waitForEvent.bind(output) as RunningProcess<E>['waitForEvent'],
    exited: output.exited,
    stop: () => {
      stopping ??= stop()
      return stopping
    },
    kill: (signal) => {
      child.kill(signal)
    },
    send: (line) => {
      if (!options.input) throw new Error(`${title} was started without input`)
      child.stdin.write(`${line}\n`)
    },
    endInput: () => {
      child.stdin.end()
    },
  }

  afterTest(t, async () => {
    const before = output.status
    await running.stop()
    if (!hasFailed(t)) return
    const state = before === undefined ? 'was still running' : `had ended, ${describe(before)}`
    console.log(`--- ${title} (pid ${pid}) ${state}\n${output.tails()}`)
  })
  return running
}

function parseEvent<E extends AnyEvent>(line: string): E | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && 'event' in value ? (value as E) : undefined
  } catch {
    return undefined
  }
}

function describe({ code, signal }: ExitStatus): string {
  return signal === null ? `exit code ${code}` : `by ${signal}`
}

function tail(name: string, text: string): string {
  const lines = text.trimEnd().split('\n').slice(-TAIL_LINES)
  return text === '' ? '' : `${name}: ${lines.join(`\n${' '.repeat(name.length)}  `)}\n`
}
