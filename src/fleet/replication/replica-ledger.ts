/**
 * What a host has fetched from its fleet, or begun to: kept in its state folder, because after a restart nothing else
 * tells a replicated file from one that a person put there, or a fetch that was cut off from somebody's download.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, systemCode } from '../../errors.ts'
import { writeFileAtomic } from '../../library/atomic-file.ts'
import type { Log } from '../../log.ts'
import { nameProblem } from '../../metainfo/file-name.ts'
import { type InfoHash, isInfoHash } from '../../metainfo/info-hash.ts'

const VERSION = 1
const LEDGER_FILE = 'replicas.json'
/** As many as a library holds shards. */
const MAX_ENTRIES = 10_000

/** One replicated file. */
export interface Replica {
  readonly infoHash: InfoHash
  readonly name: string
  readonly model: string
  readonly length: number
  /** `fetching` also while nothing is under way: its pieces lie in the hidden folder. */
  readonly state: 'fetching' | 'kept'
}

export class ReplicaLedger {
  readonly #path: string
  readonly #log: Log
  readonly #replicas = new Map<InfoHash, Replica>()
  #saving: Promise<void> = Promise.resolve()
  #warned = false

  private constructor(stateDir: string, log: Log) {
    this.#path = join(stateDir, LEDGER_FILE)
    this.#log = log
  }

  /** Reads the ledger; one that is missing, damaged or not to be read is empty. */
  static async load(stateDir: string, log: Log): Promise<ReplicaLedger> {
    const ledger = new ReplicaLedger(stateDir, log)
    try {
      const text = await readFile(ledger.#path, 'utf8')
      const { version, replicas } = JSON.parse(text) as { version: unknown; replicas: unknown }
      if (version !== VERSION || !Array.isArray(replicas)) throw new Error(`it has version ${version}`)
      for (const value of replicas.slice(0, MAX_ENTRIES)) {
        const replica = replicaFrom(value)
        if (replica !== null) ledger.#replicas.set(replica.infoHash, replica)
      }
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return ledger
      log.warn(
        `${ledger.#path} is damaged or cannot be read (${messageOf(error)}): files that were replicated before no longer ` +
          'count towards --max-bytes',
      )
    }
    return ledger
  }

  all(): readonly Replica[] {
    return [...this.#replicas.values()]
  }

  put(replica: Replica): void {
    this.#replicas.set(replica.infoHash, replica)
    this.#save()
  }

  remove(infoHash: InfoHash): void {
    if (this.#replicas.delete(infoHash)) this.#save()
  }

  /** Resolves when everything is written. */
  saved(): Promise<void> {
    return this.#saving
  }

  #save(): void {
    this.#saving = this.#saving.then(async () => {
      const text = JSON.stringify({ version: VERSION, replicas: this.all() })
      try {
        await writeFileAtomic(this.#path, `${text}\n`)
        this.#warned = false
      } catch (error) {
        if (!this.#warned) this.#log.warn(messageOf(error))
        this.#warned = true
      }
    })
  }
}

function replicaFrom(value: unknown): Replica | null {
  if (typeof value !== 'object' || value === null) return null
  const { infoHash, name, model, length, state } = value as Record<string, unknown>
  if (!isInfoHash(infoHash) || typeof name !== 'string' || typeof model !== 'string') return null
  if (nameProblem(name) !== undefined || name.startsWith('.')) return null
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 1) return null
  return state === 'fetching' || state === 'kept' ? { infoHash, name, model, length, state } : null
}
