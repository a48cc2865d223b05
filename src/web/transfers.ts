/** Who may download at once. */
import { isLoopbackAddress } from './guard.ts'

/** Each holds a descriptor and two windows; whoever comes later is told to try again. */
const MAX_TRANSFERS = 64
/**
 * Of them, to one address elsewhere: as many as aria2 opens to one server at most, so that a slow one cannot have them
 * all. A proxy on this machine speaks for many.
 */
const MAX_PER_ADDRESS = 16

export class Transfers {
  /** One entry a transfer. */
  readonly #addresses: string[] = []

  /** False when there is no room; else `end` gives it back. */
  begin(address: string): boolean {
    const its = isLoopbackAddress(address) ? 0 : this.#addresses.filter((one) => one === address).length
    if (its >= MAX_PER_ADDRESS || this.#addresses.length >= MAX_TRANSFERS) return false
    this.#addresses.push(address)
    return true
  }

  end(address: string): void {
    this.#addresses.splice(this.#addresses.indexOf(address), 1)
  }
}
