/**
 * The fleet's own DHT bootstrap node: where hosts and standard clients start from when the public DHT is
 * not wanted. It stores announces like any node (BEP 5), remembers its id and its routing table, and is
 * told everything again by hosts that notice it forgot (see the announcer's beacon).
 */
import { STORED_PEER_MAX_AGE_MS } from '../config.ts'
import { DhtNode } from '../swarm/dht.ts'
import type { GuardCounters } from '../swarm/udp-guard.ts'
import { type FolderLock, type HostState, loadHostState, lockFolder, saveHostState } from './host-state.ts'

/** A restart joins again through the table; half a minute of changes is easily lost. */
const SAVE_STATE_MS = 30_000

/** Complete settings. */
export interface BootstrapOptions {
  readonly bind: string
  /** UDP port; 0 picks a free one. */
  readonly port: number
  readonly stateDir: string
}

/** What the owner hears. */
export interface BootstrapListener {
  readonly onNode?: (nodeId: string) => void
  readonly onSaveFailed?: (error: unknown) => void
}

/** A running bootstrap node. Made by {@link BootstrapNode.start}. */
export class BootstrapNode implements AsyncDisposable {
  readonly #dht: DhtNode
  readonly #options: BootstrapOptions
  readonly #state: HostState
  readonly #lock: FolderLock
  readonly #saveTimer: NodeJS.Timeout
  #stopping: Promise<void> | undefined

  private constructor(
    options: BootstrapOptions,
    listener: BootstrapListener,
    parts: { dht: DhtNode; state: HostState; lock: FolderLock },
  ) {
    this.#options = options
    this.#dht = parts.dht
    this.#state = parts.state
    this.#lock = parts.lock
    this.#saveTimer = setInterval(() => {
      this.#save().catch((error: unknown) => listener.onSaveFailed?.(error))
    }, SAVE_STATE_MS)
  }

  /**
   * Opens the port and pings the nodes known from the last run.
   * @throws {FailedError} `port-in-use` or `locked`; {@link DiskError} for a state folder that cannot be written
   */
  static async start(options: BootstrapOptions, listener: BootstrapListener): Promise<BootstrapNode> {
    const lock = await lockFolder(
      options.stateDir,
      'stop that bootstrap, or give this one its own --state-dir',
    )
    try {
      const state = await loadHostState(options.stateDir)
      const dht = await DhtNode.start({
        port: options.port,
        bind: options.bind,
        nodeId: state.nodeId,
        bootstrap: [],
        readOnly: false,
        storedPeerMaxAgeMs: STORED_PEER_MAX_AGE_MS,
        listener: { onNode: (nodeId) => listener.onNode?.(nodeId) },
      })
      const node = new BootstrapNode(options, listener, { dht, state, lock })
      for (const known of state.nodes) dht.addNode(known)
      await node.#save()
      return node
    } catch (error) {
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

  /** Nodes in the routing table. */
  get nodeCount(): number {
    return this.#dht.nodeCount
  }

  get guard(): GuardCounters {
    return this.#dht.guard
  }

  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      clearInterval(this.#saveTimer)
      await this.#save().catch(() => undefined) // a full disk must not keep it from stopping
      await this.#dht.stop()
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
