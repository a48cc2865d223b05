/**
 * One run of a download in the engine: from its start until every piece was received, checked and flushed,
 * or until it turns out that an equal file stands at the target.
 */
import { asDiskError } from '../errors.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { type Metainfo, metainfoFromInfo } from '../metainfo/metainfo.ts'
import type { PeerAddress } from '../metainfo/peer-address.ts'
import type { PartialFile } from '../swarm/download-store.ts'
import type { WebSeedRequest } from '../swarm/web-seed/web-seeds.ts'
import type { Network } from './network.ts'
import type { Partial } from './partial.ts'
import { trustedPieces } from './pieces.ts'

/** How often the caller looks at a running download. */
const WATCH_MS = 500

/** What one attempt needs; `P` is what the caller knows of a file that is there already. */
export interface AttemptOptions<P> {
  readonly network: Network
  readonly partial: Partial
  readonly infoHash: InfoHash
  /** Undefined while it has to come from peers. */
  readonly metainfo: Metainfo | undefined
  readonly peers: readonly PeerAddress[]
  readonly webSeeds?: WebSeedRequest
  /** Called with metainfo got from peers; what it throws refuses the torrent. */
  readonly onMetainfo: (metainfo: Metainfo) => void
  /** An equal file at the target; throws when another one is in the way. */
  readonly findPresent: (metainfo: Metainfo) => Promise<P | null>
  /** Called twice a second; what it throws ends the attempt. */
  readonly watch: () => Promise<void>
}

/** The end of an attempt. */
export interface Attempted<P> {
  readonly metainfo: Metainfo
  /** The file, when it stood there already. */
  readonly present: P | null
}

/** Runs one attempt; throws what ended it, or the signal's reason. */
export async function attempt<P>(options: AttemptOptions<P>, signal: AbortSignal): Promise<Attempted<P>> {
  const running = new Attempt(options)
  const abort = (): void => running.fail(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    return await running.run()
  } finally {
    signal.removeEventListener('abort', abort)
    await running.end()
  }
}

class Attempt<P> {
  readonly #options: AttemptOptions<P>
  readonly #outcome = Promise.withResolvers<Attempted<P>>()
  readonly #opened = Promise.withResolvers<PartialFile>()
  #preparing: Promise<boolean> | undefined
  #file: PartialFile | undefined
  #watching: NodeJS.Timeout | undefined

  constructor(options: AttemptOptions<P>) {
    this.#options = options
    this.#outcome.promise.catch(() => undefined) // it may fail before run() waits for it
  }

  readonly fail = (error: unknown): void => {
    this.#outcome.reject(asDiskError(error, this.#options.partial.out))
  }

  async run(): Promise<Attempted<P>> {
    const { metainfo, watch } = this.#options
    this.#watching = setInterval(() => void watch().catch(this.fail), WATCH_MS)
    if (metainfo === undefined) this.#start(undefined, null)
    else if (await this.#prepare(metainfo)) {
      this.#start({ torrentFile: metainfo.torrentFile, bitfield: this.#file!.note.synced }, metainfo)
    }
    return this.#outcome.promise
  }

  /** Leaves nothing running or open: data flushed, note written. */
  async end(): Promise<void> {
    const { network, infoHash } = this.#options
    clearInterval(this.#watching)
    await network.remove(infoHash)
    await this.#preparing?.catch(() => undefined) // its error has ended the attempt already
    await this.#file?.handle.close()
  }

  /** Opens the partial file; false when none is needed. */
  #prepare(metainfo: Metainfo): Promise<boolean> {
    this.#preparing = (async () => {
      const { partial, findPresent } = this.#options
      const present = await findPresent(metainfo)
      if (present !== null) {
        this.#outcome.resolve({ metainfo, present })
        return false
      }
      const note = await partial.note(metainfo)
      await partial.saveMetainfo(metainfo)
      const file = await partial.openData(metainfo, note)
      this.#file = file
      const trusted = await trustedPieces(file, metainfo)
      this.#file = { ...file, note: { synced: trusted, written: trusted } }
      this.#opened.resolve(this.#file)
      return true
    })()
    return this.#preparing
  }

  #start(
    known: { torrentFile: Uint8Array; bitfield: Uint8Array } | undefined,
    metainfo: Metainfo | null,
  ): void {
    const { network, infoHash, peers, webSeeds, onMetainfo } = this.#options
    let current = metainfo
    const torrent = network.download({
      infoHash,
      ...(known === undefined ? {} : { known }),
      ...(webSeeds && { webSeeds }),
      store: { partial: this.#opened.promise, onFailed: this.fail },
      onMetadata: (info) => {
        if (current !== null) return
        try {
          current = metainfoFromInfo(info)
          onMetainfo(current)
          this.#prepare(current).catch(this.fail)
        } catch (error) {
          this.fail(error)
          throw error
        }
      },
      onDone: () => this.#outcome.resolve({ metainfo: current!, present: null }),
      onFailed: this.fail,
    })
    for (const peer of peers) torrent.dial(peer)
  }
}
