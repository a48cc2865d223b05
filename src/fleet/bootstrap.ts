/**
 * The fleet's own DHT bootstrap node: where hosts and standard clients start from when the public DHT is
 * not wanted. It stores announces like any node (BEP 5), remembers its id and its routing table, and is
 * told everything again by hosts that notice it forgot (see the announcer's beacon).
 */
import { createHash } from 'node:crypto'
import { STORED_PEER_MAX_AGE_MS } from '../config.ts'
import { addressOf } from '../swarm/address.ts'
import type { AllowedPeers } from '../swarm/allowed-peers.ts'
import { DhtNode } from '../swarm/dht/dht.ts'
import { type FolderLock, lockFolder } from './folder-lock.ts'
import { BackgroundSaves, type HostState, loadHostState, saveHostState } from './host-state.ts'

/** A restart joins again through the table; half a minute of changes is easily lost. */
const SAVE_STATE_MS = 30_000

/**
 * Further nodes that a bootstrap runs, on the ports after its own. Transmission neither looks up nor
 * announces anything before some ten nodes answered it (measured: never with 1 bootstrap and 1 host), so
 * without them a small fleet would be closed to it. They share one store: each answers what any was told.
 */
const COMPANIONS = 12

/** Complete settings. */
export interface BootstrapOptions {
  readonly bind: string
  /** UDP port; 0 picks a free one. */
  readonly port: number
  readonly stateDir: string
  /** With whom it speaks; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
}

/** What the owner hears. */
export interface BootstrapListener {
  readonly onNode?: (nodeId: string) => void
  readonly onSaveFailed?: (error: unknown) => void
}

/** A running bootstrap node. Made by {@link BootstrapNode.start}. */
export class BootstrapNode implements AsyncDisposable {
  readonly #dht: DhtNode
  readonly #companions: readonly DhtNode[]
  readonly #options: BootstrapOptions
  readonly #state: HostState
  readonly #lock: FolderLock
  readonly #saveTimer: NodeJS.Timeout
  #stopping: Promise<void> | undefined

  private constructor(
    options: BootstrapOptions,
    listener: BootstrapListener,
    parts: { dht: DhtNode; companions: readonly DhtNode[]; state: HostState; lock: FolderLock },
  ) {
    this.#options = options
    this.#dht = parts.dht
    this.#companions = parts.companions
    this.#state = parts.state
    this.#lock = parts.lock
    const saves = new BackgroundSaves(
      () => this.#save(),
      (error) => listener.onSaveFailed?.(error),
    )
    this.#saveTimer = setInterval(() => void saves.run(), SAVE_STATE_MS)
  }

  /**
   * Opens the port and pings the nodes known from the last run.
   * @throws {FailedError} `port-in-use` or `locked`; {@link DiskError} for a state folder that cannot be written
   */
  static async start(options: BootstrapOptions, listener: BootstrapListener): Promise<BootstrapNode> {
    const lock = await lockFolder(
      options.stateDir,
      (pid) =>
        `${options.stateDir} is in use by process ${pid}; stop that bootstrap, or give this one its own --state-dir`,
    )
    const nodes: DhtNode[] = []
    let node: BootstrapNode | undefined
    try {
      const state = await loadHostState(options.stateDir)
      const ids = Array.from({ length: COMPANIONS }, (_, index) => companionId(state.nodeId, index + 1))
      const dht = await DhtNode.start({
        ...nodeSettings(options),
        port: options.port,
        portOption: '--port',
        nodeId: state.nodeId,
        bootstrap: [],
        listener: {
          onNode: (nodeId) => {
            if (!ids.includes(nodeId)) listener.onNode?.(nodeId)
          },
        },
      })
      nodes.push(dht)
      for (const [index, nodeId] of ids.entries()) {
        nodes.push(
          await startCompanion(dht, nodeId, options.port === 0 ? 0 : options.port + 1 + index, options),
        )
      }
      const [, ...companions] = nodes
      node = new BootstrapNode(options, listener, { dht, companions, state, lock })
      for (const known of state.nodes) dht.addNode(known)
      await node.#save()
      return node
    } catch (error) {
      await node?.stop()
      await Promise.all(nodes.map((started) => started.stop()))
      await lock.release()
      throw error
    }
  }

  get port(): number {
    return this.#dht.port
  }

  get nodeId(): string {
    return this.#dht.nodeId
  }

  /** Nodes in the routing table, its own companions left out. */
  get nodeCount(): number {
    return Math.max(0, this.#dht.nodeCount - this.#companions.length)
  }

  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      clearInterval(this.#saveTimer)
      // Its nodes are read before this waits; a disk that is full must not keep it from stopping, nor one that hangs
      // its ports.
      const saved = this.#save().catch(() => undefined)
      await Promise.all(this.#companions.map((companion) => companion.stop()))
      await this.#dht.stop()
      await saved
      await this.#lock.release()
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #save(): Promise<void> {
    const nodes = this.#dht.nodes()
    await saveHostState(this.#options.stateDir, {
      ...this.#state,
      dhtPort: this.#dht.port,
      nodes: nodes.length > 0 ? nodes : this.#state.nodes,
    })
  }
}

const nodeSettings = ({ bind, allowed }: BootstrapOptions) =>
  ({ bind, allowed, readOnly: false, storedPeerMaxAgeMs: STORED_PEER_MAX_AGE_MS }) as const

/** Starts one more node that knows `main` and shares its store. */
async function startCompanion(
  main: DhtNode,
  nodeId: string,
  wantedPort: number,
  options: BootstrapOptions,
): Promise<DhtNode> {
  const bootstrap = [{ host: await addressOf(options.bind), port: main.port }]
  const start = (port: number): Promise<DhtNode> =>
    DhtNode.start({ ...nodeSettings(options), port, nodeId, bootstrap, shareStoreOf: main, listener: {} })
  // Any free port will do where the wanted one is taken: nodes are found through each other.
  const companion = await start(wantedPort).catch(() => start(0))
  void companion.join()
  return companion
}

/** The same in every run, so that others' routing tables stay right. */
const companionId = (nodeId: string, index: number): string =>
  createHash('sha1').update(`${nodeId} companion ${index}`).digest('hex')
