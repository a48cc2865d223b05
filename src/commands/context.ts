/** What a command gets from the command line: where to print, how wide, when to stop. */
import { setTimeout as delay } from 'node:timers/promises'
import type { SwarmError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Manual } from '../manual/manual.ts'

/** The terminal that results are printed on. */
export interface Terminal {
  readonly columns: () => number
  readonly rows: () => number
  /** False with NO_COLOR, and on terminals that have none. */
  readonly hasColours: boolean
  /** Calls `listener` when its size changed; gives the function that ends that. */
  readonly onResize: (listener: () => void) => () => void
}

/** Made by `cli.ts`, the only file that touches the process. */
export interface CommandContext {
  /** Results for scripts: the path, the magnet, or JSON events. */
  readonly out: (text: string) => void
  /** The terminal behind `out`; null when it is a file, a pipe or a terminal that cannot be redrawn. */
  readonly terminal: Terminal | null
  /** What happens, for people: one line each, as `--log-format` and `--quiet` want it. */
  readonly log: Log
  /** Other words for people: progress, tables that are not the result. */
  readonly err: (text: string) => void
  /** True when `err` can have colours. */
  readonly hasColours: boolean
  /** True when `err` is a terminal that can be redrawn. */
  readonly isInteractive: boolean
  /** Columns of that terminal. */
  readonly columns: () => number
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal
  /** Reports a failure; the first one decides the exit code. */
  readonly fail: (error: unknown) => void
  /** How to start another gguf-swarm process like this one: program and first arguments. */
  readonly self: readonly [string, ...string[]]
  /** What each command takes. */
  readonly manuals: readonly Manual[]
}

/** Resolves when the command is asked to stop, or rejects with what made it impossible to go on. */
export function untilStopped(signal: AbortSignal, failed: Promise<SwarmError>): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    void failed.then(reject)
  })
}

/** Prints events as newline-delimited JSON, each with its time (ISO 8601, UTC). */
export function jsonWriter(out: (text: string) => void): (event: { readonly event: string }) => void {
  return ({ event, ...rest }) => {
    out(`${JSON.stringify({ event, time: new Date().toISOString(), ...rest })}\n`)
  }
}

/** Looks four times a second whether `check` holds; resolves then, or when the signal is aborted. */
export async function until(check: () => boolean, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !check()) {
    await delay(250, undefined, { signal }).catch(() => undefined) // aborted: the loop sees it
  }
}
