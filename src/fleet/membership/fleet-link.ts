/**
 * One connection to a fleet peer, from the first frame until it closes: proof of the key within a time, then
 * messages at a bounded rate. A peer that breaks a rule is dropped, and the owner is told which.
 */

import { PAGE_ENTRIES } from '../../swarm/catalogue/catalogue-codec.ts'
import { type CatalogueMessage, MAX_OFFERED_SHARDS } from '../../swarm/catalogue/catalogue-entry.ts'
import { CatalogueSession, type Refusal, RefusedPeer } from '../../swarm/catalogue/catalogue-session.ts'
import type { CatalogueWire, CatalogueWireListener } from '../../swarm/catalogue/catalogue-wire.ts'

/** Four messages prove a key; over a slow line that takes a second. */
const PROOF_DEADLINE_MS = 10_000
/** Four heartbeats missed: the peer's machine is gone, or the way to it. */
const SILENCE_MS = 20_000
/** Frames a peer may send at once: a whole catalogue of the largest size, in pages of this program's. */
const BURST_FRAMES = MAX_OFFERED_SHARDS / PAGE_ENTRIES + 100
/** And steadily: this program sends at most 32 pages a second. */
const FRAMES_A_SECOND = 40
/** Pages wait while so much has not been taken by the peer's socket: one that does not read holds that much of ours. */
const MAX_UNSENT_BYTES = 128 * 1024

export interface FleetLinkListener {
  onProved(link: FleetLink): void
  onMessage(link: FleetLink, message: CatalogueMessage): void
  /** It ended; `refusal` says which rule the peer broke, if it was that. */
  onClosed(link: FleetLink, refusal: Refusal | null): void
}

export interface FleetLinkOptions {
  readonly wire: CatalogueWire
  readonly secret: Uint8Array
  readonly listener: FleetLinkListener
}

export class FleetLink implements CatalogueWireListener {
  readonly wire: CatalogueWire
  readonly #session: CatalogueSession
  readonly #listener: FleetLinkListener
  readonly #openedAt = performance.now()
  #heardAt = performance.now()
  #tokens = BURST_FRAMES
  #closed = false

  constructor({ wire, secret, listener }: FleetLinkOptions) {
    this.wire = wire
    this.#listener = listener
    this.#session = new CatalogueSession({ secret, side: wire.side, send: (frame) => wire.send(frame) })
    this.#session.start()
  }

  get isProved(): boolean {
    return this.#session.isProved && !this.#closed
  }

  /** False while the peer does not take what it was sent. */
  get hasRoom(): boolean {
    return this.wire.unsentBytes < MAX_UNSENT_BYTES
  }

  /** How long nothing was heard, in milliseconds. */
  get quietMs(): number {
    return performance.now() - this.#heardAt
  }

  send(message: CatalogueMessage): void {
    if (this.isProved) this.#session.send(message)
  }

  onFrame(frame: Uint8Array): void {
    if (this.#closed) return
    const now = performance.now()
    this.#tokens = Math.min(BURST_FRAMES, this.#tokens + ((now - this.#heardAt) / 1000) * FRAMES_A_SECOND) - 1
    this.#heardAt = now
    if (this.#tokens < 0) {
      this.refuse('flooding')
      return
    }
    const wasProved = this.#session.isProved
    try {
      const message = this.#session.receive(frame)
      if (!wasProved && this.#session.isProved) this.#listener.onProved(this)
      if (message !== null) this.#listener.onMessage(this, message)
    } catch (error) {
      if (!(error instanceof RefusedPeer)) throw error
      this.refuse(error.reason)
    }
  }

  onClosed(): void {
    this.#end(null)
  }

  /** Drops a peer that is too late or too quiet. */
  checkTime(): void {
    const now = performance.now()
    if (!this.#session.isProved && now - this.#openedAt > PROOF_DEADLINE_MS) this.refuse('silent')
    else if (now - this.#heardAt > SILENCE_MS) this.#end(null)
  }

  refuse(reason: Refusal): void {
    this.#end(reason)
  }

  close(): void {
    this.#end(null)
  }

  #end(refusal: Refusal | null): void {
    if (this.#closed) return
    this.#closed = true
    this.wire.close()
    this.#listener.onClosed(this, refusal)
  }
}
