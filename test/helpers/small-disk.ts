/** File systems of a test's own, in memory, that are full as soon as the test wants. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import { afterTest, atExit } from './after-test.ts'
import type { Requirement } from './requirements.ts'

/** To be root is not enough: many containers forbid it. */
export const MOUNTS: Requirement = {
  name: 'root, and the right to mount',
  isThere: () => spawnSync('unshare', ['--mount', 'true']).status === 0,
}

export class SmallDisk {
  readonly path: string
  #isMounted = true

  private constructor(path: string, size: string) {
    this.path = path
    mount('-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path)
  }

  /** Makes the folder, and mounts a disk of this size (`24m`) on it that is gone after the test. */
  static async mount(t: TestContext, path: string, size: string): Promise<SmallDisk> {
    await mkdir(path, { recursive: true })
    const disk = new SmallDisk(path, size)
    const pullOut = (): void => disk.pullOut()
    afterTest(t, pullOut)
    afterTest(t, atExit(pullOut))
    return disk
  }

  /** `size=128m`, or `ro` and `rw`. */
  remount(options: string): void {
    mount('-o', `remount,${options}`, this.path)
  }

  /** Takes it away, whoever uses it; the folder below is what it was. */
  pullOut(): void {
    if (!this.#isMounted) return
    this.#isMounted = false
    execFileSync('umount', ['-l', this.path], { stdio: 'pipe' })
  }
}

function mount(...args: readonly string[]): void {
  execFileSync('mount', args, { stdio: 'pipe' })
}
