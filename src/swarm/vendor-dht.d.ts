/** The exact surface of bittorrent-dht that `swarm/dht/dht` and `swarm/dht/dht-guard` use; see vendor.d.ts. */

declare module 'bittorrent-dht' {
  import { EventEmitter } from 'node:events'

  export interface DhtContact {
    id?: Uint8Array
    host: string
    port: number
    token?: Uint8Array
  }

  export interface DhtBucket {
    closest(id: Uint8Array, n?: number): DhtContact[]
    toArray(): DhtContact[]
    count(): number
  }

  export interface DhtReply {
    r?: { id?: Uint8Array; token?: Uint8Array; values?: Uint8Array[]; nodes?: Uint8Array }
  }

  export interface DhtRpc {
    query(
      node: DhtContact,
      message: { q: string; a: Record<string, unknown> },
      callback: (error: Error | null, reply?: DhtReply | null, peer?: unknown) => void,
    ): void
    queryAll(
      nodes: DhtContact[],
      message: { q: string; a: Record<string, unknown> },
      visit: null,
      callback: (error: Error | null, hits: number) => void,
    ): void
    /** `visit` is called with each answer; once it gives false, nobody more is asked. */
    closest(
      target: Uint8Array,
      message: { q: string; a: Record<string, unknown> },
      visit: () => boolean,
      callback: (error: Error | null, visited: number) => void,
    ): void
  }

  export default class DHT extends EventEmitter {
    constructor(options: {
      nodeId?: string
      bootstrap: readonly string[] | false
      socket: EventEmitter
      timeout: number
      concurrency: number
      maxTables: number
    })
    readonly nodeId: Buffer
    readonly nodes: DhtBucket
    listen(port: number, address: string): void
    address(): { address: string; port: number }
    lookup(infoHash: string, callback: (error: Error | null, visited?: number) => void): () => void
    addNode(node: { host: string; port: number }): void
    destroy(callback: () => void): void
    _rpc: DhtRpc
    _tables: { get(key: string): DhtBucket | undefined; remove(key: string): void }
    _peers: {
      add(key: string, compact: Buffer): void
      get(key: string, n?: number): Uint8Array[]
      destroy(): void
    }
    _addPeer(
      peer: { host: string; port: number },
      infoHash: Buffer,
      from: { host: string; port: number },
    ): void
  }
}
