/** One gguf-swarm process started and watched by another: its JSON events, its last words, its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { FailedError } from '../errors.ts'

/** Kept of a child's words, to quote when it dies. */
const LAST_WORDS_LINES = 3
/** A child stops within 5 s by itself; then it is killed. */
const STOP_DEADLINE_MS = 7_000

/** A JSON event as it was printed; only `event` is sure. */
export type ChildEvent = { readonly event: string } & Readonly<Record<string, unknown>>

/** What to run and who hears of it. */
export interface ChildOptions {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly onEvent: (event: ChildEvent) => void
  /** It ended without being asked to. */
  readonly onDied: (how: string) => void
}

/** A started child process. */
export class Child {
  readonly name: string
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  #lastWords: string[] = []
  #stopping = false

  constructor({ name, command, onEvent, onDied }: ChildOptions) {
    this.name = name
    const [program, ...args] = command
    // Its own process group, so that Ctrl-C reaches only the parent, which then stops its children in
    // order; the IPC channel tells the child when the parent is gone without a word (kill -9).
    this.#process = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    const { stdout, stderr } = this.#process
    createInterface({ input: stdout! }).on('line', (line) => {
      const event = parseEvent(line)
      if (event !== null) onEvent(event)
    })
    createInterface({ input: stderr! }).on('line', (line) => {
      this.#lastWords = [...this.#lastWords, line].slice(-LAST_WORDS_LINES)
    })
    this.#ended = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.#lastWords = [error.message]
        resolve()
      })
      this.#process.once('close', () => resolve())
    })
    void this.#ended.then(() => {
      if (!this.#stopping) onDied(this.#howItEnded())
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** The error of a child that ended, or said nothing, before it was of use. */
  failure(): FailedError {
    const words = this.#words()
    const why = words === '' ? this.#howItEnded() : words
    return new FailedError('child-failed', `${this.name} did not start: ${why}`)
  }

  /** Asks it to stop, and kills it when it does not; idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#process.kill('SIGTERM')
    const deadline = setTimeout(() => this.#process.kill('SIGKILL'), STOP_DEADLINE_MS)
    await this.#ended
    clearTimeout(deadline)
  }

  /** The exit code or signal, and what it said last. */
  #howItEnded(): string {
    const { exitCode, signalCode } = this.#process
    if (exitCode === null && signalCode === null) return 'no answer'
    const how = signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`
    const words = this.#words()
    return words === '' ? how : `${how}: ${words}`
  }

  #words(): string {
    return this.#lastWords.join(' / ').replace(/^gguf-swarm: /, '')
  }
}

function parseEvent(line: string): ChildEvent | null {
  try {
    const event: unknown = JSON.parse(line)
    return typeof event === 'object' && event !== null && 'event' in event ? (event as ChildEvent) : null
  } catch {
    return null // not an event: a child prints nothing else that matters here
  }
}
