/**
 * What a process remembers of itself between starts: its ids, its ports, the DHT nodes it knew. One JSON
 * file in the state folder.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskError, messageOf, systemCode } from '../errors.ts'
import { writeFileAtomic } from '../library/atomic-file.ts'
import { isInfoHash } from '../metainfo/info-hash.ts'
import { type PeerAddress, peerAddress } from '../metainfo/peer-address.ts'

const STATE_VERSION = 1
const STATE_FILE = 'host.json'
/** Nodes kept for the next start; a few that live are enough to join again. */
const MAX_SAVED_NODES = 200

/** The remembered things. Ids are 40 hex digits; a port of 0 was never used. */
export interface HostState {
  readonly hostId: string
  readonly nodeId: string
  readonly port: number
  readonly dhtPort: number
  readonly nodes: readonly PeerAddress[]
}

const newId = (): string => randomBytes(20).toString('hex')
const freshState = (): HostState => ({ hostId: newId(), nodeId: newId(), port: 0, dhtPort: 0, nodes: [] })

/**
 * Reads the state; whatever is missing or damaged is replaced by new values.
 * @throws {DiskError} when it is there and cannot be read: a new identity would replace one that is not lost
 */
export async function loadHostState(stateDir: string): Promise<HostState> {
  const fresh = freshState()
  const text = await readState(join(stateDir, STATE_FILE))
  if (text === null) return fresh
  try {
    const saved = JSON.parse(text) as Record<string, unknown>
    if (saved['version'] !== STATE_VERSION) return fresh
    const port = (value: unknown): number =>
      typeof value === 'number' && peerAddress('localhost', value) ? value : 0
    const nodes = Array.isArray(saved['nodes']) ? saved['nodes'].slice(0, MAX_SAVED_NODES) : []
    return {
      hostId: isInfoHash(saved['hostId']) ? saved['hostId'] : fresh.hostId,
      nodeId: isInfoHash(saved['nodeId']) ? saved['nodeId'] : fresh.nodeId,
      port: port(saved['port']),
      dhtPort: port(saved['dhtPort']),
      nodes: nodes.flatMap((node) => peerAddress(node?.host, node?.port) ?? []),
    }
  } catch {
    return fresh // a file that is not JSON: ids are made anew and written with the next save
  }
}

/** null when there is none yet. */
async function readState(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return null
    const advice = 'repair it or its disk, or remove it to start with a new identity'
    throw new DiskError(code, `cannot read ${path}: ${messageOf(error)}; ${advice}`, { cause: error })
  }
}

/** Writes the state so that it is found whole after any crash. */
export async function saveHostState(stateDir: string, state: HostState): Promise<void> {
  const nodes = state.nodes.slice(0, MAX_SAVED_NODES)
  await writeFileAtomic(
    join(stateDir, STATE_FILE),
    `${JSON.stringify({ version: STATE_VERSION, ...state, nodes })}\n`,
  )
}

/** Saves again and again, beside other work. A disk that stays full is told of once, until a save has worked. */
export class BackgroundSaves {
  readonly #save: () => Promise<void>
  readonly #onFailed: (error: unknown) => void
  #told: string | null = null

  constructor(save: () => Promise<void>, onFailed: (error: unknown) => void) {
    this.#save = save
    this.#onFailed = onFailed
  }

  /** Resolves when it is done, well or not. */
  async run(): Promise<void> {
    try {
      await this.#save()
      this.#told = null
    } catch (error) {
      const message = messageOf(error)
      if (message === this.#told) return
      this.#told = message
      this.#onFailed(error)
    }
  }
}
