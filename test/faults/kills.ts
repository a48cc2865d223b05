/** kill -9 at moments that a seed chooses, of a download, a host and a bootstrap; short and long tests use it alike. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { CLI, type ExitStatus, type RunningProcess, startProcess } from '../helpers/process.ts'
import type { Random } from '../helpers/random.ts'
import { underStrace } from '../helpers/strace.ts'

/** Calls that change what is on disk, each with how many of them a download of some seconds makes. */
const DISK_CALLS = {
  fsync: 6,
  fdatasync: 2,
  rename: 12,
  link: 2,
  unlink: 8,
  unlinkat: 4,
  rmdir: 3,
  mkdir: 2,
  ftruncate: 1,
  pwrite64: 60,
  openat: 60,
} as const

/** How a process ends: at a moment, at the entry of its n-th such call, or at a moment while flushes take long. */
export type Death =
  | { readonly kind: 'moment'; readonly atMs: number }
  | { readonly kind: 'call'; readonly call: keyof typeof DISK_CALLS; readonly nth: number }
  | { readonly kind: 'slow-flush'; readonly atMs: number }

/** Every second one at a system call, where the short dangerous moments are. */
export function chooseDeath(random: Random, { longestMs }: { readonly longestMs: number }): Death {
  const atMs = random.between(1, longestMs)
  const call = random.pick(Object.keys(DISK_CALLS) as (keyof typeof DISK_CALLS)[])
  const nth = random.between(1, random.between(1, DISK_CALLS[call])) // early ones more often: not every run gets far
  const deaths: readonly Death[] = [
    { kind: 'moment', atMs },
    { kind: 'call', call, nth },
    { kind: 'call', call, nth },
    { kind: 'slow-flush', atMs },
  ]
  return random.pick(deaths)
}

/** How long each flush takes of a process that is to die during one. */
const SLOW_FLUSH_US = 300_000

/**
 * Runs `gguf-swarm` until it dies that way; it may end by itself before. What it was to die at may never come: it is
 * killed after `longestMs` anyway.
 */
export async function runUntilDeath(
  t: TestContext,
  args: readonly string[],
  death: Death,
  longestMs: number,
): Promise<ExitStatus & { readonly running: RunningProcess }> {
  const self = [process.execPath, CLI, ...args]
  const command =
    death.kind === 'moment'
      ? self
      : underStrace(
          death.kind === 'call'
            ? { calls: [death.call], fault: `signal=KILL:when=${death.nth}` }
            : { calls: ['fsync', 'fdatasync'], fault: `delay_enter=${SLOW_FLUSH_US}` },
          self,
        )
  // strace counts the calls of each thread: with one thread for files, it is the n-th of the process.
  const env = death.kind === 'call' ? { UV_THREADPOOL_SIZE: '1' } : {}
  const running = startProcess(t, command[0]!, command.slice(1), { env })
  const timer = new AbortController()
  void pause(death.kind === 'call' ? longestMs : death.atMs, undefined, { signal: timer.signal }).then(
    () => running.kill('SIGKILL'),
    () => undefined, // it ended first
  )
  const status = await running.exited
  timer.abort()
  return { ...status, running }
}

export function describeDeath(death: Death): string {
  if (death.kind === 'call') return `${death.call} no. ${death.nth}`
  return `${death.atMs} ms${death.kind === 'slow-flush' ? ', slow flushes' : ''}`
}

/** What {@link startWatcher} gives. */
export interface FolderWatch {
  /** Throws when anything was ever wrong. */
  check(): void
  /** Looks once more, ends, and tells how much was looked at. */
  end(): Promise<{ readonly looks: number; readonly files: number; readonly states: number }>
}

type Said =
  | { readonly event: 'watching' }
  | { readonly event: 'wrong'; readonly path: string }
  | { readonly event: 'watched'; readonly looks: number; readonly files: number; readonly states: number }

/** Another process that looks at folders all the time (see watcher.ts); files there must equal one of `originals`. */
export async function startWatcher(
  t: TestContext,
  folders: readonly string[],
  originals: readonly string[],
): Promise<FolderWatch> {
  for (const folder of folders) await mkdir(folder, { recursive: true })
  const hashes = await Promise.all(
    originals.map(async (path) => [
      basename(path),
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    ]),
  )
  const program = new URL('watcher.ts', import.meta.url).pathname
  const env = { WATCHED_FILES: JSON.stringify(Object.fromEntries(hashes)) }
  const watcher = startProcess<Said>(t, process.execPath, [program, ...folders], { env, input: true })
  await watcher.waitForEvent('watching', { timeoutMs: 30_000 })
  const check = (): void =>
    assert.deepEqual(
      watcher.events().filter(({ event }) => event === 'wrong'),
      [],
    )
  return {
    check,
    end: async () => {
      watcher.endInput()
      const end = await watcher.waitForEvent('watched', { timeoutMs: 60_000 })
      check()
      return end
    },
  }
}
