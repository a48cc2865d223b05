/** How quiet the machine was: what others took of it, and whether a fixed piece of work took the same time. */
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { median, spread } from '../helpers/statistics.ts'
import { benchCpuSeconds, machineCpuSeconds } from './processes.ts'

/** Others may take this share of the machine before figures are called noisy. */
const MAX_FOREIGN_SHARE = 0.1
/** The calibration's own spread. */
const MAX_CALIBRATION_SPREAD = 0.08
const CALIBRATION_BYTES = 24_000_000

const block = new Uint8Array(1_000_000)

export interface NoiseSample {
  /** Milliseconds of a fixed piece of work on one core. */
  readonly calibrationMs: number
  /** The share of all cores that processes outside the bench took meanwhile. */
  readonly foreignShare: number
}

/** A look this long is enough to see a neighbour at work. */
const LOOK_MS = 300

/** Waits until others leave the machine alone, but not for ever; resolves with whether they do. */
export async function untilQuiet(patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const watch = new NoiseWatch()
    await delay(LOOK_MS)
    if (watch.end().foreignShare <= MAX_FOREIGN_SHARE) return true
    if (performance.now() >= deadline) return false
  }
}

/** Watches from its making until `end`. */
export class NoiseWatch {
  readonly #calibrationMs = calibrate()
  readonly #startedAt = performance.now()
  readonly #machine = machineCpuSeconds()
  readonly #bench = benchCpuSeconds()

  end(): NoiseSample {
    const cores = availableParallelism() * ((performance.now() - this.#startedAt) / 1000)
    const foreign = machineCpuSeconds() - this.#machine - (benchCpuSeconds() - this.#bench)
    return { calibrationMs: this.#calibrationMs, foreignShare: Math.max(0, foreign / cores) }
  }
}

function calibrate(): number {
  const startedAt = performance.now()
  const hash = createHash('sha1')
  for (let at = 0; at < CALIBRATION_BYTES; at += block.length) hash.update(block)
  hash.digest()
  return performance.now() - startedAt
}

export interface NoiseVerdict {
  readonly foreignShare: number
  readonly calibrationMs: number
  readonly calibrationSpread: number
  readonly isNoisy: boolean
}

export function judge(samples: readonly NoiseSample[]): NoiseVerdict {
  const foreignShare = median(samples.map((sample) => sample.foreignShare))
  const calibrations = samples.map(({ calibrationMs }) => calibrationMs)
  const calibrationSpread = spread(calibrations)
  return {
    foreignShare,
    calibrationMs: median(calibrations),
    calibrationSpread,
    isNoisy: foreignShare > MAX_FOREIGN_SHARE || calibrationSpread > MAX_CALIBRATION_SPREAD,
  }
}
