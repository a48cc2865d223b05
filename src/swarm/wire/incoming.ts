/**
 * Which incoming connections are taken. One address may crowd the process with connections that do nothing only up
 * to a limit, and when all places are taken, an idle one is given up for whoever comes.
 */
import { randomInt } from 'node:crypto'
import type { Socket } from 'node:net'
import { isLoopback, plainAddress } from '../address.ts'
import type { AllowedPeers } from '../allowed-peers.ts'

/** Share of all places that one address may hold without using them: four have to conspire, and then see below. */
const MAX_IDLE_SHARE = 1 / 4
/** A connection is in use while we write so much to it in this time; heartbeats of the catalogue do, keep-alives do not. */
const MOVED_BYTES = 2 * 1024
const IDLE_MS = 180_000
/** A handshake takes a round trip or two: before that, others are given up first. */
const GRACE_MS = 5_000
/** Connections looked at to find one to give up: all of them would cost more than accepting one does. */
const SAMPLE = 24

/** Connections refused or given up since the start. */
export interface IncomingCounters {
  /** Their address had too many idle ones. */
  readonly crowding: number
  /** All places were taken by connections in use. */
  readonly full: number
  /** Idle ones closed to make room. */
  readonly givenUp: number
}

interface Connection {
  readonly host: string
  readonly socket: Pick<Socket, 'bytesWritten' | 'destroy'>
  readonly since: number
  seenBytes: number
  /** When it was last found to have moved something; null while it has not. */
  movedAt: number | null
}

export interface IncomingOptions {
  readonly maxConns: number
  /** Everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
  /** Milliseconds of a clock that nobody sets; only tests give another. */
  readonly now?: () => number
}

export class Incoming {
  readonly #options: IncomingOptions
  readonly #maxIdle: number
  readonly #now: () => number
  readonly #byHost = new Map<string, Set<Connection>>()
  /** All of them, in no order. */
  readonly #held: Connection[] = []
  #counters = { crowding: 0, full: 0, givenUp: 0 }

  constructor(options: IncomingOptions) {
    this.#options = options
    this.#maxIdle = Math.max(1, Math.floor(options.maxConns * MAX_IDLE_SHARE))
    this.#now = options.now ?? (() => performance.now())
  }

  get counters(): IncomingCounters {
    return { ...this.#counters }
  }

  /** May one more come from this address? Makes room where that is needed. */
  admits(remoteAddress: string | undefined): boolean {
    if (remoteAddress === undefined) return false // gone already
    const host = plainAddress(remoteAddress)
    const { allowed, maxConns } = this.#options
    if (allowed !== undefined && !allowed.admits(host, 'connections')) return false
    // Programs of this machine are no strangers, and a whole fleet may run on it.
    if (!isLoopback(host) && this.#idleOf(host).length >= this.#maxIdle) {
      this.#counters.crowding++
      return false
    }
    if (this.#held.length < maxConns || this.#makeRoom(host)) return true
    this.#counters.full++
    return false
  }

  /** One that was admitted; it holds its place until it is closed. */
  hold(socket: Socket, remoteAddress: string): void {
    const host = plainAddress(remoteAddress)
    const connection: Connection = { host, socket, since: this.#now(), seenBytes: 0, movedAt: null }
    const ofHost = this.#byHost.get(host) ?? new Set()
    this.#byHost.set(host, ofHost.add(connection))
    this.#held.push(connection)
    socket.once('close', () => this.#release(connection))
  }

  #release(connection: Connection): void {
    const ofHost = this.#byHost.get(connection.host)
    if (ofHost?.delete(connection) !== true) return
    if (ofHost.size === 0) this.#byHost.delete(connection.host)
    const last = this.#held.pop()
    if (last !== undefined && last !== connection) this.#held[this.#held.indexOf(connection)] = last
  }

  #idleOf(host: string): readonly Connection[] {
    const ofHost = this.#byHost.get(host)
    if (ofHost === undefined) return []
    return [...ofHost].filter((connection) => this.#isIdle(connection))
  }

  #isIdle(connection: Connection): boolean {
    const now = this.#now()
    const { bytesWritten } = connection.socket
    if (bytesWritten - connection.seenBytes >= MOVED_BYTES) {
      connection.seenBytes = bytesWritten
      connection.movedAt = now
    }
    return connection.movedAt === null || now - connection.movedAt > IDLE_MS
  }

  /**
   * Of the address with most connections, the idle one that has been so longest goes. When all idle ones have only just
   * come, somebody opens them faster than handshakes take; then chance decides, as whoever comes next would
   * otherwise be kept out for as long as that goes on.
   */
  #makeRoom(newcomer: string): boolean {
    const now = this.#now()
    const idle = this.#sample().filter((connection) => this.#isIdle(connection))
    const sizeOf = (host: string): number => this.#byHost.get(host)?.size ?? 0
    const idleSince = ({ since, movedAt }: Connection): number => movedAt ?? since
    const crowd = idle.sort((a, b) => sizeOf(b.host) - sizeOf(a.host) || idleSince(a) - idleSince(b))
    const fresh = crowd.filter(({ host }) => sizeOf(host) >= sizeOf(newcomer))
    const given = crowd.find(({ since }) => now - since >= GRACE_MS) ?? fresh[randomInt(fresh.length || 1)]
    if (given === undefined) return false
    this.#release(given)
    this.#counters.givenUp++
    given.socket.destroy()
    return true
  }

  #sample(): Connection[] {
    if (this.#held.length <= SAMPLE) return [...this.#held]
    return Array.from({ length: SAMPLE }, () => this.#held[randomInt(this.#held.length)]!)
  }
}
