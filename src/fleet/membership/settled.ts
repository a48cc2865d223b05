/**
 * When a fleet's picture can be relied on: hosts are found by DHT one after the other, and each tells its catalogue
 * in pages. Who looks only once waits until all that were found have told everything and no more come.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { NotFoundError } from '../../errors.ts'
import { formatPeerAddress } from '../../metainfo/peer-address.ts'
import type { DhtChoice, Network } from '../network.ts'
import { fleetLabel } from './fleet-key.ts'
import type { FleetMember } from './fleet-member.ts'
import type { KnownHost } from './roster.ts'

/** Nothing new for so long: members that one lookup names are all connected within a second, on one network. */
const QUIET_MS = 1_500
/** And longer by this for each host found: a lookup names only some members of a large fleet, the next one others. */
const QUIET_MORE_MS = 20
/** A fleet in which hosts come and go all the time is told as it is then. */
const MAX_RESTLESS_MS = 30_000
/** A private DHT answers within two seconds, and is asked four times in this, after 0, 2, 6 and 14 s. */
const NOBODY_PRIVATE_MS = 20_000
/** Joining the public DHT, and one slow lookup. */
const NOBODY_PUBLIC_MS = 60_000
const LOOK_MS = 50

export interface SettleOptions {
  readonly signal: AbortSignal
  readonly dht: DhtChoice
  /** Give up earlier when no host is found at all; null leaves it to the DHT's own pace. */
  readonly timeoutMs?: number | null
}

/** A picture that can be relied on, or the best there is. */
export interface Settled {
  readonly hosts: readonly KnownHost[]
  /** False when hosts were still coming, going or telling when the time was over. */
  readonly isQuiet: boolean
}

/** What is looked at; a `Coordinator` is one. */
export interface Watched {
  readonly network: Network
  readonly member: FleetMember
}

/**
 * Waits until the hosts found have told their complete catalogues and no more come.
 * @throws {NotFoundError} `no-hosts` when none is found; the signal's reason
 */
export async function untilSettled(watched: Watched, options: SettleOptions): Promise<Settled> {
  const { signal, dht, timeoutMs = null } = options
  const ownMs = dht.kind === 'private' ? NOBODY_PRIVATE_MS : NOBODY_PUBLIC_MS
  const patienceMs = Math.min(ownMs, timeoutMs ?? ownMs)
  const startedAt = performance.now()
  const quiet = new QuietWatch()
  for (;;) {
    const hosts = watched.member.hosts()
    const waitedMs = performance.now() - startedAt
    if (quiet.observe(hosts, performance.now())) return { hosts, isQuiet: true }
    const isNobody = !hosts.some(({ state }) => state === 'online')
    if (isNobody && waitedMs >= patienceMs) throw nobody(watched, waitedMs)
    if (!isNobody && waitedMs >= MAX_RESTLESS_MS) return { hosts, isQuiet: false }
    await delay(LOOK_MS, undefined, { signal })
  }
}

/** Tells when nothing has moved for long enough. Progress of copies is no movement. */
export class QuietWatch {
  #seen = ''
  #sinceMs = 0

  /** True when the picture is quiet at `nowMs`; any clock that does not go back will do. */
  observe(hosts: readonly KnownHost[], nowMs: number): boolean {
    const seen = hosts
      .map(({ info, state, complete, shards }) => `${info.hostId} ${state} ${complete} ${shards.size}`)
      .sort()
      .join('\n')
    if (seen !== this.#seen) {
      this.#seen = seen
      this.#sinceMs = nowMs
    }
    const online = hosts.filter(({ state }) => state === 'online')
    if (online.length === 0 || !online.every(({ complete }) => complete)) return false
    return nowMs - this.#sinceMs >= QUIET_MS + QUIET_MORE_MS * online.length
  }
}

/** Why nobody was found, and what can be done. */
function nobody({ network, member }: Watched, waitedMs: number): NotFoundError {
  const fleet = fleetLabel(member.key)
  const refused = Object.entries(member.turnedAway)
  if (network.isolated) {
    const asked = network.dht.bootstrap.map(formatPeerAddress).join(', ')
    return new NotFoundError(
      'no-hosts',
      `no host of the ${fleet} can be found: no DHT node answers at ${asked}; start one with \`gguf-swarm bootstrap\`, ` +
        'name another with --bootstrap HOST:PORT, or join the public DHT with --public',
    )
  }
  if (refused.length > 0) {
    const reasons = refused.map(([reason, times]) => `${times} × ${reason}`).join(', ')
    return new NotFoundError(
      'no-hosts',
      `no host of the ${fleet} was found, but peers that are none were turned away (${reasons}); ` +
        'check that this machine has the same key file as the hosts (--fleet-key FILE)',
    )
  }
  return new NotFoundError(
    'no-hosts',
    `no host of the ${fleet} was found in ${Math.round(waitedMs / 1000)} s, asking ${network.dht.nodeCount} DHT ` +
      'node(s); start one with `gguf-swarm seed`, or say which fleet with --fleet NAME or --fleet-key FILE',
  )
}
