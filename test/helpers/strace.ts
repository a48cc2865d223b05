/**
 * Faults between a process and its system, made by strace: a system call of its choice fails, takes long, or is the
 * last thing the process ever did. The process itself is not changed in any way.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { afterTest, atExit } from './after-test.ts'
import type { Requirement } from './requirements.ts'
import { until } from './until.ts'

/** That it is there is not enough: many containers forbid what it does. */
export const STRACE: Requirement = {
  name: 'strace, and the right to trace',
  isThere: () => spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0,
}

/** Attaching stops each thread once; on a busy machine that takes a while. */
const ATTACH_TIMEOUT_MS = 20_000

/** System calls by strace's names, and what becomes of them: `error=EIO`, `signal=KILL:when=3`, `delay_enter=5000`. */
export interface Injection {
  readonly calls: readonly string[]
  readonly fault: string
  /** Only calls that have to do with this path, by name or by descriptor. */
  readonly path?: string
}

/**
 * Command and arguments that run `command` under an injection from its first instruction on; the process started
 * is the command itself, not strace.
 */
export function underStrace(injection: Injection, command: readonly string[]): readonly string[] {
  // With a filter in the kernel only the calls in question stop the process, but then strace 6.1 loses all signals
  // of a fault except those of the first call.
  const filter = injection.fault.includes('signal=') ? [] : ['--seccomp-bpf']
  return ['strace', '-D', '-f', '-qqq', ...filter, ...optionsOf(injection), ...command]
}

/** Puts a running process under an injection; gives a function that takes it away again. */
export async function injectInto(
  t: TestContext,
  pid: number,
  injection: Injection,
): Promise<() => Promise<void>> {
  const strace = spawn('strace', ['-f', '-p', String(pid), ...optionsOf(injection)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(strace, 'exit')
  let said = ''
  strace.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const detach = async (): Promise<void> => {
    strace.kill('SIGINT') // strace lets go of what it traces, and that runs on
    await ended
  }
  const forget = atExit(() => strace.kill('SIGINT'))
  void ended.then(forget)
  afterTest(t, detach)
  await until(() => /attached/.test(said) || strace.exitCode !== null, {
    timeoutMs: ATTACH_TIMEOUT_MS,
    what: 'strace is attached',
  })
  if (strace.exitCode !== null) throw new Error(`strace cannot attach to ${pid}: ${said}`)
  return detach
}

function optionsOf({ calls, fault, path }: Injection): readonly string[] {
  const set = calls.join(',')
  const only = path === undefined ? [] : ['-P', path]
  return ['-o', '/dev/null', ...only, '-e', `trace=${set}`, '-e', `inject=${set}:${fault}`]
}
