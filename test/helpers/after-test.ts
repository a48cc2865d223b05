/**
 * What must be undone after a test, however it ends: in order, after a failure, and when the runner ends
 * the whole test file for being too slow.
 */
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
 * runner does at its timeout. Gives a function that takes it back.
 */
export function atExit(step: () => void): () => void {
  if (lastSteps.size === 0) {
    process.on('exit', runLastSteps)
    process.on('SIGTERM', exitOnTerm)
  }
  lastSteps.add(step)
  return () => {
    lastSteps.delete(step)
    if (lastSteps.size > 0) return
    process.off('exit', runLastSteps)
    process.off('SIGTERM', exitOnTerm)
  }
}

function runLastSteps(): void {
  for (const step of [...lastSteps].reverse()) step()
}

function exitOnTerm(): void {
  process.exit(143) // 128 + SIGTERM, as a shell reports it
}
