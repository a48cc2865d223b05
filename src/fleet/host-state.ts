/**
 * What a process remembers of itself between starts: its ids, its ports, the DHT nodes it knew. One JSON
 * file in the state folder.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
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

/** Reads the state; whatever is missing or damaged is replaced by new values. */
export async function loadHostState(stateDir: string): Promise<HostState> {
  const fresh = freshState()
  try {
    const saved = JSON.parse(await readFile(join(stateDir, STATE_FILE), 'utf8')) as Record<string, unknown>
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
    return fresh // no state yet, or a file that is not JSON: ids are made anew and written with the next save
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
