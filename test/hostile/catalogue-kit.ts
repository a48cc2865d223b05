/**
 * A fleet of real processes to be attacked (a bootstrap, a host, a coordinator with its API), and a member made by
 * hand: BitTorrent handshake, extended handshake with `gs_catalogue`, and then whatever a test wants to say.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { TestContext } from 'node:test'
import bencode from 'bencode'
import { loadKeyFile, rendezvousOf, secretOf } from '../../src/fleet/membership/fleet-key.ts'
import type { FleetStatus } from '../../src/fleet/status.ts'
import type { CatalogueMessage, MemberInfo } from '../../src/swarm/catalogue/catalogue-entry.ts'
import { CatalogueSession } from '../../src/swarm/catalogue/catalogue-session.ts'
import { afterTest } from '../helpers/after-test.ts'
import { type Fleet, type FleetOptions, startFleet } from '../helpers/fleet.ts'
import { residentBytes } from '../helpers/resident-bytes.ts'
import { type Cli, freeTcpPort, PATIENCE_MS } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { startWebCommand } from '../helpers/web-command.ts'
import { infoOf } from '../swarm-unit/catalogue-kit.ts'
import { extended, handshake, ID, type Message, message, RawPeer } from './raw-peer.ts'

/** Our number for the extension in the extended handshake. */
const OURS = 7

/**
 * 300 sockets and their buffers. The growth was 180 MB after 28,000 connections in 25 s and had stopped long before;
 * a leak of 10 KB each would be 280 MB.
 */
const MAX_GROWTH_BYTES = 250 * 1024 * 1024

export interface Target {
  readonly port: number
  readonly pid: number
}

export interface AttackedFleet {
  readonly fleet: Fleet
  readonly secret: Uint8Array
  readonly infoHash: string
  readonly host: Target
  readonly coordinator: Target
  readonly web: Cli
  status(): Promise<FleetStatus>
  /** How many connections the coordinator has turned away for a reason, as its API tells. */
  turnedAway(reason: string): Promise<number>
  /** Both processes live, see each other, and neither has grown by more than this. */
  assertWell(maxGrowthBytes?: number): Promise<void>
}

/** Starts bootstrap, one host and a coordinator; resolves when the coordinator sees the host. */
export async function startAttackedFleet(t: TestContext, options: FleetOptions = {}): Promise<AttackedFleet> {
  const fleet = await startFleet(t, { hosts: 1, ...options })
  const [first] = fleet.hosts
  const key = await loadKeyFile(fleet.keyFile)
  const port = await freeTcpPort()
  const { web, url } = await startWebCommand(t, ['--port', String(port), ...fleet.memberArgs])
  const status = async (): Promise<FleetStatus> =>
    (await (await fetch(new URL('/api/status', url))).json()) as FleetStatus
  const isSeen = async (): Promise<boolean> =>
    (await status()).hosts.some(({ name, state }) => name === first!.name && state === 'online')
  await until(isSeen, { timeoutMs: PATIENCE_MS, what: 'the coordinator sees the host' })
  const host = { port: Number((await first!.address()).split(':')[1]), pid: first!.cli.pid }
  const coordinator = { port, pid: web.pid }
  const before = [host, coordinator].map(({ pid }) => residentBytes(pid))
  return {
    fleet,
    secret: secretOf(key),
    infoHash: rendezvousOf(key),
    host,
    coordinator,
    web,
    status,
    turnedAway: async (reason) => (await status()).coordinator.turnedAway[reason] ?? 0,
    assertWell: async (maxGrowthBytes = MAX_GROWTH_BYTES) => {
      await until(isSeen, { timeoutMs: 30_000, what: 'the honest host is still seen' })
      for (const [index, { pid }] of [host, coordinator].entries()) {
        const growth = residentBytes(pid) - before[index]!
        t.diagnostic(`${index === 0 ? 'host' : 'coordinator'}: ${Math.round(growth / 1e6)} MB more`)
        assert.ok(growth < maxGrowthBytes, `process ${pid} grew by ${growth} bytes`)
      }
    },
  }
}

/** Waits until the coordinator has turned away more than so many for this reason. */
export async function untilTurnedAway(
  { turnedAway }: AttackedFleet,
  reason: string,
  more = 0,
): Promise<void> {
  const what = `turned away: ${reason}`
  await until(async () => (await turnedAway(reason)) > more, { timeoutMs: 15_000, what })
}

/** Whoever says this to the coordinator is cut off, and counted. */
export async function expectCut(
  attacked: AttackedFleet,
  { raw }: FleetPeer,
  reason: string,
  say: () => void,
): Promise<void> {
  const before = await attacked.turnedAway(reason)
  say()
  await raw.hungUp(reason, 20_000)
  await untilTurnedAway(attacked, reason, before)
}

export interface PeerOptions {
  readonly infoHash: string
  /** Loopback address to come from. */
  readonly from?: string
}

/** A connection that has shaken hands and speaks the extension. */
export class FleetPeer {
  readonly raw: RawPeer
  /** What the other side said in the extension, oldest first. */
  readonly frames: Buffer[] = []
  theirs = 0
  session: CatalogueSession | undefined
  /** What it said after the proof. */
  readonly heard: CatalogueMessage[] = []

  constructor(raw: RawPeer) {
    this.raw = raw
  }

  /** One extension message under the other side's number. */
  say(frame: Uint8Array): void {
    this.raw.write(extended(this.theirs, Buffer.from(frame)))
  }

  /** Holds the honest conversation until both are proved. */
  async prove(secret: Uint8Array): Promise<CatalogueSession> {
    const session = new CatalogueSession({ secret, side: 'initiator', send: (frame) => this.say(frame) })
    this.session = session
    session.start()
    for (const frame of this.frames.splice(0)) session.receive(frame)
    await until(() => session.isProved || this.raw.closed, { timeoutMs: 30_000, what: 'proof' })
    if (!session.isProved) throw new Error('turned away')
    return session
  }

  /** Proves the key and says who it is. */
  async enter(
    secret: Uint8Array,
    number: number,
    change: Partial<MemberInfo> = {},
  ): Promise<CatalogueSession> {
    const session = await this.prove(secret)
    session.send({ type: 'info', info: infoOf(number, change), wantsCatalogue: false })
    return session
  }

  /** Takes a message in. */
  hear({ id, body }: Message): void {
    if (id !== ID.extended) return
    if (body[0] === 0) {
      const { m } = bencode.decode(body.subarray(1)) as { m: Record<string, number> }
      this.theirs = m['gs_catalogue'] ?? 0
      return
    }
    if (body[0] !== OURS) return
    const frame = body.subarray(1)
    if (this.session === undefined) {
      if (this.frames.length < 100) this.frames.push(frame)
      return
    }
    try {
      const said = this.session.receive(frame)
      if (said !== null && this.heard.length < 1_000) this.heard.push(said)
    } catch {
      // What the attacker makes of it is not what is tested.
    }
  }
}

/** A TCP connection that has shaken hands for the rendezvous, and said nothing more. */
export async function approach(
  t: TestContext,
  port: number,
  { infoHash, from }: PeerOptions,
): Promise<FleetPeer> {
  const socket = connect({ port, host: '127.0.0.1', ...(from === undefined ? {} : { localAddress: from }) })
  afterTest(t, () => socket.destroy())
  const raw: RawPeer = new RawPeer(socket, (said) => peer.hear(said))
  const peer = new FleetPeer(raw)
  raw.write(handshake({ infoHash }))
  await until(() => raw.handshaken || raw.closed, { timeoutMs: 30_000, what: 'handshake' })
  return peer
}

/** Connects and says that it speaks the extension; resolves when the other side has said hello. */
export async function meetFleet(t: TestContext, port: number, options: PeerOptions): Promise<FleetPeer> {
  const peer = await approach(t, port, options)
  peer.raw.write(
    extended(0, Buffer.from(bencode.encode({ m: { gs_catalogue: OURS } }))),
    message(ID.haveNone),
  )
  await until(() => (peer.theirs > 0 && peer.frames.length > 0) || peer.raw.closed, {
    timeoutMs: 30_000,
    what: 'hello',
  })
  return peer
}
