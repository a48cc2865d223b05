/**
 * What a process remembers of itself between starts: its ids, its ports, the DHT nodes it knew. One JSON
 * file in the state folder, and a lock, so that two processes never share one identity.
 */
import { randomBytes } from 'node:crypto'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asDiskError, FailedError, systemCode } from '../errors.ts'
import { makeFolder, writeFileAtomic } from '../library/atomic-file.ts'
import { isInfoHash } from '../metainfo/info-hash.ts'
import { type PeerAddress, peerAddress } from '../metainfo/peer-address.ts'

const STATE_VERSION = 1
const STATE_FILE = 'host.json'
const LOCK_FILE = 'lock'
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

/** A folder held by this process until `release`. */
export interface FolderLock {
  release(): Promise<void>
}

/**
 * Makes `folder` and takes its lock; a lock whose process is gone is taken over.
 * @param advice what to do when another process holds it
 * @throws {FailedError} `locked`; {@link DiskError} when the folder cannot be written
 */
export async function lockFolder(folder: string, advice: string): Promise<FolderLock> {
  const path = join(folder, LOCK_FILE)
  try {
    await makeFolder(folder)
    for (;;) {
      try {
        const file = await open(path, 'wx')
        await file.writeFile(`${process.pid}\n`)
        await file.close()
        return { release: () => rm(path, { force: true }) }
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error
        const pid = Number(await readFile(path, 'utf8').catch(() => ''))
        if (pid !== process.pid && isAlive(pid)) {
          throw new FailedError('locked', `${folder} is in use by process ${pid}; ${advice}`)
        }
        await rm(path, { force: true })
      }
    }
  } catch (error) {
    throw asDiskError(error, folder)
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM' // it lives, and belongs to somebody else
  }
}
