/** A long test: told its seed and how long it may take, it gives figures, which the runner prints in one line. */
import { type TestContext, test } from 'node:test'

/** Beyond the time it was given, for what is under way when that is over. */
const GRACE_MS = 600_000

export type Figures = Readonly<Record<string, number | string | boolean>>

/** What a soak sends to `soak/run`. */
export interface SoakReport {
  readonly figures: Figures
}

export interface SoakTime {
  /** Replays the run: `--seed` of `soak/run`. */
  readonly seed: number
  /** True as long as another round may begin. */
  hasTime(): boolean
  /** Adds to what is printed at the end, and stands even when the soak fails afterwards. */
  report(figures: Figures): void
}

/**
 * Defines a soak. What it does until its work is done or `hasTime` says no is its own affair.
 * @param options.minutes how long it may begin new rounds, unless `--minutes` says otherwise
 */
export function soak(
  name: string,
  { minutes }: { readonly minutes: number },
  run: (t: TestContext, time: SoakTime) => Promise<void>,
): void {
  const seed = Number(process.env['GGUF_SOAK_SEED'] ?? Date.now() % 1_000_000_000)
  const limitMs = Number(process.env['GGUF_SOAK_MINUTES'] ?? minutes) * 60_000
  test(name, { timeout: limitMs + GRACE_MS }, async (t) => {
    t.diagnostic(`seed ${seed}`)
    const endsAt = performance.now() + limitMs
    const report = (figures: Figures): void => {
      t.diagnostic(JSON.stringify(figures))
      process.send?.({ figures } satisfies SoakReport)
    }
    await run(t, { seed, hasTime: () => performance.now() < endsAt, report })
  })
}
