/**
 * A time of day for child processes that a test sets as it likes (Debian's faketime); what measures intervals, the
 * monotonic clock, stays the machine's own, as it does when somebody sets the clock of a real one.
 */
import { globSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Requirement } from './requirements.ts'
import { scratchFolder } from './swarm.ts'

const [LIBRARY] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')

/** What a test with such a clock needs. */
export const FAKETIME: Requirement = { name: 'faketime', isThere: () => LIBRARY !== undefined }

export class JumpingClock {
  /** Environment of the processes that go by this clock. */
  readonly env: Readonly<Record<string, string>>
  readonly #file: string

  private constructor(file: string) {
    this.#file = file
    this.env = {
      LD_PRELOAD: LIBRARY!,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** Starts with the true time. */
  static async create(t: TestContext): Promise<JumpingClock> {
    const clock = new JumpingClock(join(await scratchFolder(t), 'clock'))
    await clock.set('+0')
    return clock
  }

  /** Sets it off the true time by so much: `+1d`, `-2h`. */
  async set(offset: string): Promise<void> {
    await writeFile(`${this.#file}.new`, `${offset}\n`)
    await rename(`${this.#file}.new`, this.#file)
  }
}
