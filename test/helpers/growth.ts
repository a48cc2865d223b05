/** Watches what processes keep over time, and tells growth from noise. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Observation, observe } from './observed.ts'
import { median } from './statistics.ts'
import { until } from './until.ts'

/** Caches, compiled code and tables fill up in the first part of a run; they are looked at, and not judged. */
const WARM_UP_SHARE = 0.25
/** Between the medians of the first and the second half after that. */
const MAX_KEPT_GROWTH_BYTES = 4 * 1024 * 1024
/** Resident memory also holds what the allocator has not given back. */
const MAX_RSS_GROWTH_BYTES = 30 * 1024 * 1024
const MAX_DESCRIPTOR_GROWTH = 6

export interface Sample extends Observation {
  readonly descriptors: number
}

/** A process that lives as long as the soak. */
export class Watched {
  readonly name: string
  readonly #pid: number
  readonly #folder: string
  readonly samples: Sample[] = []

  constructor(name: string, pid: number, folder: string) {
    this.name = name
    this.#pid = pid
    this.#folder = folder
  }

  /** Lets the process collect its garbage and takes its measure. */
  async sample(): Promise<void> {
    const descriptors = readdirSync(`/proc/${this.#pid}/fd`).length
    if (this.#pid === process.pid) {
      this.samples.push({ ...observe(), descriptors })
      return
    }
    const before = this.#lines().length
    process.kill(this.#pid, 'SIGUSR2')
    const line = await until(() => this.#lines()[before], {
      timeoutMs: 120_000,
      what: `a measure of ${this.name}`,
    })
    this.samples.push({ ...(JSON.parse(line) as Observation), descriptors })
  }

  /** Medians of the first and the second half of what was measured after the warm-up. */
  medians(read: (sample: Sample) => number): readonly [number, number] {
    const judged = this.samples.slice(Math.floor(this.samples.length * WARM_UP_SHARE))
    const middle = Math.ceil(judged.length / 2)
    return [median(judged.slice(0, middle).map(read)), median(judged.slice(middle).map(read))]
  }

  /** For the report: both medians of each measure. */
  figures(): Readonly<Record<string, string>> {
    const megabytes = (bytes: number): string => (bytes / 1024 ** 2).toFixed(1)
    const [kept, rss] = [this.medians(({ keptBytes }) => keptBytes), this.medians(({ rssBytes }) => rssBytes)]
    const descriptors = this.medians((sample) => sample.descriptors)
    const memory = `kept ${kept.map(megabytes).join(' -> ')} MB, resident ${rss.map(megabytes).join(' -> ')} MB`
    return { [this.name]: `${memory}, descriptors ${descriptors.join(' -> ')}` }
  }

  assertFlat(): void {
    const growth = (read: (sample: Sample) => number): number => {
      const [first, second] = this.medians(read)
      return second - first
    }
    const last = JSON.stringify(this.samples.at(-1)?.resources)
    assert.ok(
      growth(({ keptBytes }) => keptBytes) < MAX_KEPT_GROWTH_BYTES,
      `${this.name} keeps more and more (${last})`,
    )
    assert.ok(growth(({ rssBytes }) => rssBytes) < MAX_RSS_GROWTH_BYTES, `${this.name} grows`)
    assert.ok(
      growth(({ descriptors }) => descriptors) < MAX_DESCRIPTOR_GROWTH,
      `${this.name} opens more and more (${last})`,
    )
  }

  /** Whole ones: the last may be in the middle of being written. */
  #lines(): readonly string[] {
    try {
      return readFileSync(join(this.#folder, `${this.#pid}.jsonl`), 'utf8')
        .split('\n')
        .slice(0, -1)
    } catch {
      return [] // not asked yet
    }
  }
}
