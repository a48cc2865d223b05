/**
 * Notices that this machine is reached at another address than before: a lease that ended, a laptop that moved.
 * Whatever was announced from the old one leads nowhere, and would for as long as nodes store it.
 */

/** A look asks the routing table of this machine and sends nothing. */
const LOOK_MS = 5_000

/** What it needs. */
export interface AddressWatchOptions {
  /** The address now; undefined while there is none. */
  readonly find: () => Promise<string | undefined>
  /** Called with each address but the first. */
  readonly onChange: (host: string) => void
  /** Only tests are in a hurry. */
  readonly lookMs?: number
}

/** Looks until it is stopped. */
export class AddressWatch {
  readonly #options: AddressWatchOptions
  readonly #timer: NodeJS.Timeout
  #host: string | undefined
  #stopped = false

  /** @param host the address as it was found at start */
  constructor(host: string | undefined, options: AddressWatchOptions) {
    this.#host = host
    this.#options = options
    this.#timer = setInterval(() => void this.#look(), options.lookMs ?? LOOK_MS)
    this.#timer.unref()
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    const host = await this.#options.find()
    // Without a network there is nobody to tell; the address that comes back is compared with the last one.
    if (this.#stopped || host === undefined || host === this.#host) return
    this.#host = host
    this.#options.onChange(host)
  }
}
