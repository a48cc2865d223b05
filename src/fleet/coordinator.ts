/**
 * A process that joins a fleet only to look at it: `web`, `status`, `verify`. It has no state of its own, and
 * nothing is lost when it ends.
 */
import { randomBytes } from 'node:crypto'
import { VERSION } from '../config.ts'
import type { FailedError } from '../errors.ts'
import type { AllowedPeers } from '../swarm/allowed-peers.ts'
import type { MemberInfo } from '../swarm/catalogue/catalogue-entry.ts'
import { type Defences, defencesOf } from './defences.ts'
import { type FleetKey, rendezvousOf } from './membership/fleet-key.ts'
import { FleetMember } from './membership/fleet-member.ts'
import { type DhtChoice, Network, type PortChoice } from './network.ts'
import { FleetPicture } from './picture/fleet-picture.ts'
import { SwarmWatch } from './picture/swarm-watch.ts'
import type { CoordinatorStatus, FleetEvent, FleetStatus } from './status.ts'
import { visitorNetwork } from './visitor.ts'

/** Subscribers are told at most so often: faster than people read, slower than heartbeats of many hosts. */
const TELL_MS = 250
/** And only for this part of the time: the picture of a fleet of many shards that all change takes long to make. */
const TELL_SHARE = 1 / 4
/** What changes without a word from a host is looked at so often: the DHT, who was turned away. */
const LOOK_MS = 1_000
/** A picture is made anew after this time at the latest, as alarms end by themselves. */
const RENEW_MS = 60_000

/** Complete settings of a coordinator. */
export interface CoordinatorOptions {
  readonly bind: string
  readonly port: PortChoice
  readonly dhtPort: PortChoice
  readonly dht: DhtChoice
  readonly key: FleetKey
  /** Fewer whole copies of a shard raise an alarm. */
  readonly wantedReplicas: number
  /** Whether the shards' swarms are looked at on the wire, and asked for in the DHT, all the time. */
  readonly watchesSwarms: boolean
  /** With whom it speaks; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
  readonly onFailed?: (error: FailedError) => void
}

/** A running coordinator. Made by {@link Coordinator.start}. */
export class Coordinator implements AsyncDisposable {
  readonly network: Network
  readonly member: FleetMember
  readonly #picture: FleetPicture
  readonly #watch: SwarmWatch | null
  readonly #hostId = randomBytes(20).toString('hex')
  readonly #allowed: AllowedPeers | undefined
  readonly #startedAt = Date.now()
  readonly #subscribers = new Set<(status: FleetStatus) => void>()
  #status: FleetStatus
  #hasChanged = false
  #telling: NodeJS.Timeout | null = null
  #pauseMs = TELL_MS
  #madeAt = performance.now()
  readonly #looking: NodeJS.Timeout
  #stopping: Promise<void> | undefined

  private constructor(options: CoordinatorOptions, network: Network) {
    const { key, wantedReplicas } = options
    this.#allowed = options.allowed
    this.network = network
    this.#picture = new FleetPicture({
      fleet: {
        name: key.kind === 'open' ? key.name : null,
        keyed: key.kind === 'keyed',
        rendezvous: rendezvousOf(key),
      },
      wantedReplicas,
      onChange: () => this.#changed(),
    })
    this.member = FleetMember.join({
      network,
      key,
      wantsCatalogues: true,
      self: () => this.#self(),
      listener: this.#picture,
    })
    this.#watch = options.watchesSwarms ? new SwarmWatch(network, this.#picture, options.allowed) : null
    this.#status = this.#picture.snapshot(this.#coordinator())
    this.#looking = setInterval(() => this.#look(), LOOK_MS)
  }

  /** Opens its ports and joins the fleet. Throws what {@link Network.start} throws. */
  static async start(options: CoordinatorOptions): Promise<Coordinator> {
    const { bind, port, dhtPort, dht, allowed, onFailed } = options
    const network = await Network.start(
      { ...visitorNetwork({ bind, port, dhtPort, dht, stays: false }), allowed },
      onFailed === undefined ? {} : { onFailed },
    )
    return new Coordinator(options, network)
  }

  /** The picture now. What did not change since the last time is the same object. */
  get status(): FleetStatus {
    if (this.#hasChanged) {
      this.#hasChanged = false
      this.#madeAt = performance.now()
      this.#status = this.#picture.snapshot(this.#coordinator())
    }
    return this.#status
  }

  /** What it has kept out itself. */
  get defences(): Defences {
    return defencesOf(this.network)
  }

  /** The last events, oldest first. */
  get events(): readonly FleetEvent[] {
    return this.#picture.events
  }

  /** Tells of changes, at most four times a second. Gives the function that ends it. */
  subscribe(listener: (status: FleetStatus) => void): () => void {
    this.#subscribers.add(listener)
    return () => void this.#subscribers.delete(listener)
  }

  /** Leaves the fleet and frees its ports; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      clearInterval(this.#looking)
      clearTimeout(this.#telling ?? undefined)
      this.#subscribers.clear()
      await this.#watch?.stop()
      await this.member.stop()
      await this.network.stop()
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #changed(): void {
    this.#hasChanged = true
    this.#telling ??= setTimeout(() => {
      this.#telling = null
      if (this.#stopping !== undefined) return
      const begun = performance.now()
      for (const listener of this.#subscribers) listener(this.status)
      this.#pauseMs = Math.max(TELL_MS, (performance.now() - begun) / TELL_SHARE)
    }, this.#pauseMs)
  }

  /** Without hosts nobody tells of anything, and there is still something to show. */
  #look(): void {
    const [before, now] = [this.#status.coordinator, this.#coordinator()]
    const isSame =
      before.dhtNodes === now.dhtNodes &&
      before.isolated === now.isolated &&
      JSON.stringify(before.turnedAway) === JSON.stringify(now.turnedAway) &&
      JSON.stringify(before.strangersRefused) === JSON.stringify(now.strangersRefused)
    if (!isSame || performance.now() - this.#madeAt > RENEW_MS) this.#changed()
  }

  #self(): MemberInfo {
    return {
      hostId: this.#hostId,
      name: 'coordinator',
      version: VERSION,
      role: 'coordinator',
      startedAt: this.#startedAt,
      port: this.network.client.port,
      replicating: false,
      freeDiskBytes: null,
      uploadBytesPerSecond: 0,
      downloadBytesPerSecond: 0,
    }
  }

  #coordinator(): CoordinatorStatus {
    return {
      hostId: this.#hostId,
      version: VERSION,
      startedAt: new Date(this.#startedAt).toISOString(),
      dhtNodes: this.network.dht.nodeCount,
      isolated: this.network.isolated,
      turnedAway: this.member.turnedAway,
      ...(this.#allowed && { strangersRefused: this.#allowed.refused }),
    }
  }
}
