/**
 * One process's place in the swarm: engine, DHT node and announce schedule, wired together. Peers found by
 * lookups, and peers that announce themselves to our node, are dialled by the torrent they belong to:
 * a client that tries uTP first (Transmission) would otherwise never reach us.
 */
import { isIPv4 } from 'node:net'
import { PUBLIC_BOOTSTRAP, STORED_PEER_MAX_AGE_MS } from '../config.ts'
import { FailedError } from '../errors.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { formatPeerAddress, type PeerAddress } from '../metainfo/peer-address.ts'
import { addressOf, addressTowards, isLoopback, outwardAddress } from '../swarm/address.ts'
import { AddressWatch } from '../swarm/address-watch.ts'
import type { AllowedPeers } from '../swarm/allowed-peers.ts'
import { type DownloadRequest, type Gathering, SwarmClient, type SwarmTorrent } from '../swarm/client.ts'
import { type AnnounceMode, Announcer, type AnnouncerListener } from '../swarm/dht/announcer.ts'
import { DhtNode } from '../swarm/dht/dht.ts'
import type { ServedFile } from '../swarm/seeding/in-place-store.ts'

/**
 * In a private DHT lookups cost little, and a downloader that cannot reach us itself (Transmission tries uTP
 * first) waits for the next one: seconds, not a minute.
 */
const PRIVATE_LOOKUP_MS = 15_000

/** Which DHT: a private one joins the named bootstraps and nothing else. */
export type DhtChoice =
  | { readonly kind: 'private'; readonly bootstrap: readonly PeerAddress[] }
  | { readonly kind: 'public' }

/** Complete settings. Ports of 0 pick free ones. */
export interface NetworkOptions {
  readonly bind: string
  readonly port: PortChoice
  readonly dhtPort: PortChoice
  readonly dht: DhtChoice
  readonly uploadLimit: number | null
  readonly maxConns: number
  /** Addresses others are to use for us; the first also stands in our own DHT node. */
  readonly advertise: readonly PeerAddress[]
  readonly nodeId: string
  /** Nodes of the last run, asked besides the bootstraps. */
  readonly savedNodes: readonly PeerAddress[]
  /** BEP 43: a process that comes and goes must not stand in others' routing tables. */
  readonly readOnly: boolean
  readonly identity: string
  /** With whom it speaks; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
}

/** A port asked for must be had; one that is only preferred (it was used last time) may be another. */
export interface PortChoice {
  readonly port: number
  readonly required: boolean
}

/** What the owner hears. */
export interface NetworkListener extends AnnouncerListener {
  onNode?(nodeId: string): void
  /** A peer of one of our torrents was heard of. */
  onPeer?(infoHash: InfoHash, peer: PeerAddress): void
  onFailed?(error: FailedError): void
}

/**
 * The nodes a choice of DHT starts from. A bootstrap on this machine that is named by its loopback address is
 * asked by its outward one too: announces that come from there are of use to other machines.
 * @param own the outward address, where it is known already
 */
export async function bootstrapsOf(
  dht: DhtChoice,
  bind: string,
  own?: string,
): Promise<readonly PeerAddress[]> {
  if (dht.kind === 'public') return PUBLIC_BOOTSTRAP
  if (bind !== '0.0.0.0') return dht.bootstrap
  const outward = own ?? (await addressOf(bind))
  const known = new Map<string, PeerAddress>()
  for (const { host, port } of dht.bootstrap) {
    const ways = isLoopback(host) ? [outward, host] : [host]
    for (const way of ways) known.set(`${way}:${port}`, { host: way, port })
  }
  return [...known.values()]
}

/** Who waits for the peers of an infohash. */
type Finding = Map<InfoHash, Set<(peer: PeerAddress) => void>>

/** A started engine with its DHT. Made by {@link Network.start}. */
export class Network implements AsyncDisposable {
  readonly client: SwarmClient
  readonly dht: DhtNode
  readonly #announcer: Announcer
  readonly #addressWatch: AddressWatch
  readonly #torrents: Map<InfoHash, SwarmTorrent>
  readonly #finding: Finding
  #stopping: Promise<void> | undefined

  private constructor(
    parts: { client: SwarmClient; dht: DhtNode; announcer: Announcer; addressWatch: AddressWatch },
    torrents: Map<InfoHash, SwarmTorrent>,
    finding: Finding,
  ) {
    this.client = parts.client
    this.dht = parts.dht
    this.#announcer = parts.announcer
    this.#addressWatch = parts.addressWatch
    this.#torrents = torrents
    this.#finding = finding
  }

  /** Opens both ports and begins to join the DHT. Throws what {@link SwarmClient.start} and {@link DhtNode.start} throw. */
  static async start(options: NetworkOptions, listener: NetworkListener): Promise<Network> {
    const torrents = new Map<InfoHash, SwarmTorrent>()
    const finding: Finding = new Map()
    const bootstrap = await bootstrapsOf(options.dht, options.bind)
    const self: { address?: PeerAddress } = {}
    const heardOf = (infoHash: InfoHash, peer: PeerAddress): void => {
      for (const hear of finding.get(infoHash) ?? []) hear(peer)
      const torrent = torrents.get(infoHash)
      const isSelf = peer.host === self.address?.host && peer.port === self.address.port
      if (torrent === undefined || isSelf) return
      listener.onPeer?.(infoHash, peer)
      torrent.dial(peer)
    }
    const dht = await withPort(options.dhtPort, (port) =>
      DhtNode.start({
        port,
        portOption: '--dht-port',
        bind: options.bind,
        nodeId: options.nodeId,
        bootstrap,
        readOnly: options.readOnly,
        allowed: options.allowed,
        storedPeerMaxAgeMs: STORED_PEER_MAX_AGE_MS,
        listener: { onPeer: heardOf, onAnnounce: heardOf, onNode: (nodeId) => listener.onNode?.(nodeId) },
      }),
    )
    try {
      const client = await withPort(options.port, (port) =>
        SwarmClient.start({
          port,
          bind: options.bind,
          uploadLimit: options.uploadLimit,
          maxConns: options.maxConns,
          allowed: options.allowed,
          dhtPort: options.readOnly ? null : dht.port,
          onDhtNode: (node) => dht.addNode(node),
          onFailed: (error) => listener.onFailed?.(error),
        }),
      )
      const advertised = options.advertise[0]
      const isPrivate = options.dht.kind === 'private'
      const find = async (): Promise<string | undefined> =>
        advertised?.host ?? (await ownAddress(options.bind, isPrivate ? dht.bootstrap : []))
      const port = advertised?.port ?? client.port
      const moveTo = (host: string): void => void Object.assign(self, { address: { host, port } })
      const host = await find()
      if (host !== undefined) moveTo(host)
      const announcer = new Announcer({
        dht,
        port,
        identity: options.identity,
        checkBootstraps: isPrivate,
        ...(isPrivate ? { times: { lookupMs: PRIVATE_LOOKUP_MS } } : {}),
        selfHost: () => (self.address && isIPv4(self.address.host) ? self.address.host : undefined),
        listener,
      })
      const addressWatch = new AddressWatch(host, {
        find,
        onChange: (host) => {
          moveTo(host)
          void tellAnew(host, { options, dht, announcer })
        },
      })
      for (const node of options.savedNodes) dht.addNode(node)
      return new Network({ client, dht, announcer, addressWatch }, torrents, finding)
    } catch (error) {
      await dht.stop()
      throw error
    }
  }

  /** True while no DHT node is known. */
  get isolated(): boolean {
    return this.#announcer.isolated
  }

  /** Seeds a file and announces it. */
  seed(
    torrentFile: Uint8Array,
    infoHash: InfoHash,
    file: ServedFile,
    onFailed: (error: Error) => void,
  ): SwarmTorrent {
    return this.#add(this.client.seed(torrentFile, infoHash, file, onFailed), 'seed')
  }

  /** Starts a download, and the search for peers that have it. */
  download(request: DownloadRequest): SwarmTorrent {
    return this.#add(this.client.download(request), 'search')
  }

  /** Meets the others that announce `infoHash` to speak about what each has. */
  gather(infoHash: InfoHash, gathering: Gathering): SwarmTorrent {
    return this.#add(this.client.gather(infoHash, gathering), 'gather')
  }

  /** The peers of an infohash that one lookup in the DHT names. */
  async findPeers(infoHash: InfoHash): Promise<readonly PeerAddress[]> {
    const found = new Map<string, PeerAddress>()
    const hear = (peer: PeerAddress): void => void found.set(formatPeerAddress(peer), peer)
    const listeners = this.#finding.get(infoHash) ?? new Set()
    this.#finding.set(infoHash, listeners.add(hear))
    try {
      await this.dht.lookup(infoHash)
    } finally {
      listeners.delete(hear)
      if (listeners.size === 0) this.#finding.delete(infoHash)
    }
    return [...found.values()]
  }

  /** Ends a torrent: no new connections, the open ones closed, no announces. */
  async remove(infoHash: InfoHash): Promise<void> {
    const torrent = this.#torrents.get(infoHash)
    this.#torrents.delete(infoHash)
    this.#announcer.remove(infoHash)
    await torrent?.remove()
  }

  torrent(infoHash: InfoHash): SwarmTorrent | undefined {
    return this.#torrents.get(infoHash)
  }

  /** Announces stop first, then the engine, then the DHT; idempotent and bounded in time. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#addressWatch.stop()
      this.#announcer.stop()
      await this.client.stop()
      await this.dht.stop()
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #add(torrent: SwarmTorrent, mode: AnnounceMode): SwarmTorrent {
    this.#torrents.set(torrent.infoHash, torrent)
    this.#announcer.add(torrent.infoHash, mode)
    return torrent
  }
}

async function withPort<T>({ port, required }: PortChoice, start: (port: number) => Promise<T>): Promise<T> {
  try {
    return await start(port)
  } catch (error) {
    if (required || port === 0 || !(error instanceof FailedError && error.code === 'port-in-use')) throw error
    return start(0)
  }
}

/** A bootstrap on this machine has moved with it; told by loopback alone, it would know us by that. */
async function tellAnew(
  host: string,
  { options, dht, announcer }: { options: NetworkOptions; dht: DhtNode; announcer: Announcer },
): Promise<void> {
  dht.bootstrap = await bootstrapsOf(options.dht, options.bind, host)
  announcer.kick()
}

async function ownAddress(bind: string, bootstrap: readonly PeerAddress[]): Promise<string | undefined> {
  if (bind !== '0.0.0.0') return bind
  const [first] = bootstrap
  return first === undefined ? outwardAddress() : addressTowards(first)
}
