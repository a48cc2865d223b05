/**
 * What must be undone after a test, however it ends: in order, after a failure, and when the runner ends
 * the whole test file for being too slow.
 */
import { constants } from 'node:os'
import type { TestContext } from 'node:test'

const stepsOf = new WeakMap<TestContext, (() => unknown)[]>()

/**
 * Like `t.after`, but last in, first out (node:test runs its own oldest first): a process is stopped before
 * the network it runs in is taken away. Every step runs; the first error is thrown at the end.
 */
export function afterTest(t: TestContext, step: () => unknown): void {
  const known = stepsOf.get(t)
  if (known !== undefined) {
    known.push(step)
    return
  }
  const steps = [step]
  stepsOf.set(t, steps)
  t.after(async () => {
    const errors: unknown[] = []
    for (const last of steps.reverse()) {
      try {
        await last()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  })
}

/** Whether the test has failed so far; meant for {@link afterTest} steps. */
export function hasFailed(t: TestContext): boolean {
  // Node has had `passed` since 21.7; its type declarations do not know it yet.
  return !(t as TestContext & { readonly passed: boolean }).passed
}

const lastSteps = new Set<() => void>()

/**
 * Runs `step` (synchronously) when this process exits or is told to before the tests are over, as the
 * runner does at its timeout and a person with Ctrl-C. Gives a function that takes it back.
 */
export function atExit(step: () => void): () => void {
  if (lastSteps.size === 0) {
    process.on('exit', runLastSteps)
    process.on('SIGTERM', exitBySignal)
    process.on('SIGINT', exitBySignal)
  }
  lastSteps.add(step)
  return () => {
    lastSteps.delete(step)
    if (lastSteps.size > 0) return
    process.off('exit', runLastSteps)
    process.off('SIGTERM', exitBySignal)
    process.off('SIGINT', exitBySignal)
  }
}

function runLastSteps(): void {
  for (const step of [...lastSteps].reverse()) {
    try {
      step()
    } catch (error) {
      console.error(error) // the others still have their turn
    }
  }
}

function exitBySignal(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]) // as a shell reports it
}
