/** The option that says with whom a process speaks. */
import { isIP } from 'node:net'
import { UsageError } from '../errors.ts'
import type { DhtChoice } from '../fleet/network.ts'
import type { Log } from '../log.ts'
import { GROUP } from '../manual/shared.ts'
import { formatPeerAddress, type PeerAddress } from '../metainfo/peer-address.ts'
import { AllowedPeers, parseAddressRange } from '../swarm/allowed-peers.ts'

export const ALLOW_OPTIONS = {
  allow: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    group: GROUP.network,
    describe: 'CIDR of a network to speak with, like 10.0.0.0/8, and with nobody else; repeatable',
  },
} as const

/** The values of {@link ALLOW_OPTIONS}. */
export interface AllowArguments {
  readonly allow?: readonly string[] | undefined
}

/** What is to be reached, by the option that names it. */
export interface Wanted {
  readonly dht?: DhtChoice
  readonly peers?: readonly PeerAddress[]
  /** Web servers are to be asked, and those that they redirect to. */
  readonly webSeeds?: boolean
}

/**
 * The networks; undefined for everybody.
 * @throws {UsageError} `bad-network`; `not-allowed` where what else was asked for lies outside of them
 */
export function allowedPeers(
  { allow }: AllowArguments,
  { dht, peers = [], webSeeds = false }: Wanted = {},
): AllowedPeers | undefined {
  if (allow === undefined) return undefined
  const allowed = new AllowedPeers(
    allow.map((text) => {
      const range = parseAddressRange(text)
      if (range !== undefined) return range
      throw new UsageError(
        'bad-network',
        `--allow: '${text}' is not a network; write it like 10.0.0.0/8, fd00::/8 or 10.0.0.7`,
      )
    }),
  )
  if (dht?.kind === 'public') {
    throw new UsageError(
      'not-allowed',
      '--public speaks with the whole internet and --allow with some networks only; give one of them',
    )
  }
  if (webSeeds) {
    throw new UsageError(
      'not-allowed',
      '--web-seed and --web-seeds ask web servers wherever they are, and --allow is for some networks; give one of them',
    )
  }
  for (const [option, addresses] of [
    ['--bootstrap', dht?.bootstrap ?? []],
    ['--peer', peers],
  ] as const) {
    for (const address of addresses) {
      if (isIP(address.host) === 0 || allowed.allows(address.host)) continue
      throw new UsageError(
        'not-allowed',
        `${option} ${formatPeerAddress(address)} is in no network of --allow; add one that it is in`,
      )
    }
  }
  return allowed
}

/** The first refusal is told soon, and then no more often than a person wants to read it. */
const LOOK_MS = 5_000
const TELL_MS = 5 * 60_000

/** Says in the log how many strangers were refused, until disposed of. */
export function tellStrangers(allowed: AllowedPeers | undefined, log: Log): Disposable {
  let told = 0
  let toldAt = Number.NEGATIVE_INFINITY
  const timer = setInterval(() => {
    const total = allowed?.refusedTotal ?? 0
    if (allowed === undefined || total === told || performance.now() - toldAt < TELL_MS) return
    told = total
    toldAt = performance.now()
    const { connections, dials, datagramsReceived, datagramsSent } = allowed.refused
    log.info(
      `[NET] Outside --allow, since the start: ${connections} connection(s) and ${datagramsReceived} DHT packet(s) ` +
        `refused, ${dials} address(es) not dialled, ${datagramsSent} DHT packet(s) not sent`,
    )
  }, LOOK_MS)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
