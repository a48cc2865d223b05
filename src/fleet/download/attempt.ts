/**
 * One run of a download in the engine: from its start until every piece was received, checked and flushed,
 * or until it turns out that an equal file stands at the target.
 */
import { hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { asDiskError, InvalidDataError } from '../../errors.ts'
import type { HashPool, ReadBackFile } from '../../library/hash-pool.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { type Metainfo, metainfoFromInfo } from '../../metainfo/metainfo.ts'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import { pieceCountOf } from '../../metainfo/piece-length.ts'
import { hasPiece, type PartialFile } from '../../swarm/lane/download-store.ts'
import type { WebSeedRequest } from '../../swarm/web-seed/web-seeds.ts'
import type { Network } from '../network.ts'
import type { Partial } from './partial.ts'
import { digestOf, trustedPieces } from './pieces.ts'

/** How often the caller looks at a running download. */
const WATCH_MS = 500

/** What one attempt needs; `P` is what the caller knows of a file that is there already. */
export interface AttemptOptions<P> {
  readonly network: Network
  readonly pool: HashPool
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

/** The end of an attempt: a file that stood there already, or one whose pieces are all written. */
export type Attempted<P> =
  | { readonly metainfo: Metainfo; readonly present: P }
  | {
      readonly metainfo: Metainfo
      readonly present: null
      /** To be asked what the file holds; the caller ends or closes it. */
      readonly readBack: ReadBackFile
    }

/** Runs one attempt; throws what ended it, or the signal's reason. */
export async function attempt<P>(options: AttemptOptions<P>, signal: AbortSignal): Promise<Attempted<P>> {
  const running = new Attempt(options, signal)
  const abort = (): void => running.fail(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  let isWhole = false
  try {
    signal.throwIfAborted()
    const attempted = await running.run()
    isWhole = attempted.present === null
    return attempted
  } finally {
    signal.removeEventListener('abort', abort)
    await running.end(isWhole)
  }
}

/** What was written to `out` is not what is read there. */
export function readsBackWrong({ name, infoHash }: Metainfo, out: string): InvalidDataError {
  return new InvalidDataError(
    'corrupt',
    `${name} (${infoHash}): what was written to ${out} does not read back as it was received; ` +
      'check the disk and memory of this machine, then run this again',
  )
}

class Attempt<P> {
  readonly #options: AttemptOptions<P>
  readonly #signal: AbortSignal
  readonly #outcome = Promise.withResolvers<Attempted<P>>()
  readonly #opened = Promise.withResolvers<PartialFile>()
  #preparing: Promise<boolean> | undefined
  #handle: FileHandle | undefined
  #readBack: ReadBackFile | undefined
  #watching: NodeJS.Timeout | undefined
  #diskFailure: unknown

  constructor(options: AttemptOptions<P>, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#outcome.promise.catch(() => undefined) // it may fail before run() waits for it
  }

  readonly fail = (error: unknown): void => {
    this.#outcome.reject(asDiskError(error, this.#options.partial.out))
  }

  readonly #failDisk = (error: unknown): void => {
    this.#diskFailure ??= asDiskError(error, this.#options.partial.out)
    this.fail(error)
  }

  async run(): Promise<Attempted<P>> {
    const { metainfo, watch } = this.#options
    this.#watching = setInterval(() => void watch().catch(this.fail), WATCH_MS)
    if (metainfo === undefined) this.#start(undefined, null)
    else if (await this.#prepare(metainfo)) {
      const { note } = await this.#opened.promise
      this.#start({ torrentFile: metainfo.torrentFile, bitfield: note.synced }, metainfo)
    }
    return this.#outcome.promise
  }

  /** Leaves nothing running or open, data flushed, note written; what reads a whole file back goes on. */
  async end(isWhole: boolean): Promise<void> {
    const { network, infoHash } = this.#options
    clearInterval(this.#watching)
    try {
      await network.remove(infoHash)
      await this.#preparing?.catch(() => undefined) // its error has ended the attempt already
      await this.#handle?.close()
      // The last flush comes after the last piece: a file that is not on its disk is not whole.
      if (isWhole && this.#diskFailure !== undefined) throw this.#diskFailure
    } catch (error) {
      this.#readBack?.close()
      throw error
    }
    if (!isWhole) this.#readBack?.close()
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
      this.#handle = file.handle
      const trusted = await trustedPieces(file, metainfo, this.#signal)
      const readBack = this.#startReadBack(metainfo, trusted)
      const put = (index: number, bytes: Uint8Array): Promise<boolean> =>
        this.#put(readBack, metainfo, index, bytes)
      this.#opened.resolve({ ...file, note: { synced: trusted, written: trusted }, put })
      return true
    })()
    return this.#preparing
  }

  #startReadBack({ length, pieceLength, pieces }: Metainfo, trusted: Uint8Array): ReadBackFile {
    const { pool, partial } = this.#options
    const count = pieceCountOf(length, pieceLength)
    const left = Array.from({ length: count }, (_, index) => index).filter((index) =>
      hasPiece(trusted, index),
    )
    this.#readBack = pool.readBack({ path: partial.path, length, pieceLength, pieces, left })
    return this.#readBack
  }

  /** Peers are to blame only for what they sent, not for what this machine made of it. */
  async #put(readBack: ReadBackFile, metainfo: Metainfo, index: number, bytes: Uint8Array): Promise<boolean> {
    if (await readBack.put(index, bytes)) return true
    const isRightInMemory =
      Buffer.compare(hash('sha1', bytes, 'buffer'), digestOf(metainfo.pieces, index)) === 0
    if (!isRightInMemory) return false
    throw readsBackWrong(metainfo, this.#options.partial.out)
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
      store: { partial: this.#opened.promise, onFailed: this.#failDisk },
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
      onDone: () => this.#outcome.resolve({ metainfo: current!, present: null, readBack: this.#readBack! }),
      onFailed: this.fail,
    })
    for (const peer of peers) torrent.dial(peer)
  }
}
