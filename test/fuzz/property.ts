/**
 * Properties that must hold for whatever bytes arrive, checked on generated input. A failure prints the seed and the
 * smallest input that still fails; `GGUF_TEST_SEED` makes the same input again. `GGUF_FUZZ_FACTOR` is how many times
 * more is tried than in `npm test`.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc, { type Arbitrary } from 'fast-check'
import { cpuTimeMs } from '../helpers/cpu-time.ts'
import { TEST_SEED } from '../helpers/random.ts'

const FACTOR = Number(process.env['GGUF_FUZZ_FACTOR'] ?? 1)

/** Such an input takes a millisecond; a machine that is busy with something else may take long over any. */
const SLOW_MS = 250
/** An input that was slow is given twice more: what is slow by itself is slow each time. */
const ATTEMPTS = 3
/** What all inputs together may leave behind when the collector has run: next to nothing. */
const MAX_KEPT_BYTES = 20 * 1024 * 1024
/** What the process may have grown by in between: what the collector lets pile up, and no input a hundred times that. */
const MAX_GROWTH_BYTES = 400 * 1024 * 1024

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes in use when everything that can be let go of is. */
function keptBytes(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

export interface PropertyOptions {
  /** Inputs tried in `npm test`. */
  readonly runs: number
  /** Time by the clock, for what goes through a socket; without it, 250 ms of this thread's processor time. */
  readonly slowMs?: number
}

/** Tries `check` on generated inputs: it must not throw, and each must be quick. */
export async function holds<T>(
  t: TestContext,
  inputs: Arbitrary<T>,
  check: (input: T) => unknown,
  { runs, slowMs }: PropertyOptions,
): Promise<void> {
  const numRuns = Math.ceil(runs * FACTOR)
  const nowMs = slowMs === undefined ? cpuTimeMs : () => performance.now()
  const limitMs = slowMs ?? SLOW_MS
  let slowestMs = 0
  const [before, keptBefore] = [process.memoryUsage().rss, keptBytes()]
  const property = fc.asyncProperty(inputs, async (input) => {
    let quickestMs = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < ATTEMPTS && quickestMs > limitMs; attempt++) {
      const begun = nowMs()
      await check(input)
      quickestMs = Math.min(quickestMs, nowMs() - begun)
    }
    slowestMs = Math.max(slowestMs, quickestMs)
    assert.ok(quickestMs <= limitMs, `took ${Math.round(quickestMs)} ms`)
  })
  let [growth, kept] = [0, 0]
  try {
    await fc.assert(property, { seed: TEST_SEED, numRuns })
  } finally {
    growth = process.memoryUsage().rss - before
    kept = keptBytes() - keptBefore
    const memory = `${megabytes(growth)} grown, ${megabytes(kept)} kept`
    t.diagnostic(
      `GGUF_TEST_SEED=${TEST_SEED}: ${numRuns} inputs, slowest ${slowestMs.toFixed(1)} ms, ${memory}`,
    )
  }
  assert.ok(kept < MAX_KEPT_BYTES, `GGUF_TEST_SEED=${TEST_SEED}: kept ${kept} bytes`)
  assert.ok(growth < MAX_GROWTH_BYTES, `GGUF_TEST_SEED=${TEST_SEED}: grew by ${growth} bytes`)
}

const megabytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MB`

/** Runs `work`; what it throws must be one of these. Undefined when it threw. */
export async function refuses<T>(
  work: () => T | Promise<T>,
  ...kinds: readonly (abstract new (
    ...args: never[]
  ) => Error)[]
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (kinds.some((kind) => error instanceof kind)) return undefined
    throw error
  }
}
