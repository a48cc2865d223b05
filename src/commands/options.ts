/** Options that several commands share, and how they become complete settings. */
import { DEFAULTS, parseAddressOption } from '../config.ts'
import { UsageError } from '../errors.ts'
import type { DhtChoice } from '../fleet/network.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'

/** Where to listen. */
export const LISTEN_OPTIONS = {
  bind: { type: 'string', default: DEFAULTS.bind, requiresArg: true, describe: 'IPv4 address to listen on' },
  port: { type: 'number', requiresArg: true, describe: 'BitTorrent port (TCP); 0 picks a free one' },
  'dht-port': { type: 'number', requiresArg: true, describe: 'DHT port (UDP); 0 picks a free one' },
} as const

/** Which DHT. */
export const DHT_OPTIONS = {
  bootstrap: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe:
      "HOST:PORT of a private DHT's bootstrap node; repeatable " +
      `[default: ${formatPeerAddress(DEFAULTS.bootstrap)}]`,
  },
  public: { type: 'boolean', default: false, describe: 'join the public (mainline) DHT instead' },
} as const

/** Events for programs. */
export const JSON_OPTION = {
  json: { type: 'boolean', default: false, describe: 'print newline-delimited JSON events on stdout' },
} as const

/**
 * The DHT that the options ask for.
 * @throws {UsageError} `bad-address`, or `both-dhts` when both are asked for
 */
export function dhtChoice(bootstrap: readonly string[] | undefined, isPublic: boolean): DhtChoice {
  if (!isPublic) {
    const named = (bootstrap ?? []).map((text) => parseAddressOption(text, '--bootstrap'))
    return { kind: 'private', bootstrap: named.length > 0 ? named : [DEFAULTS.bootstrap] }
  }
  if (bootstrap === undefined) return { kind: 'public' }
  throw new UsageError(
    'both-dhts',
    '--bootstrap joins a private DHT and --public the public one; give one of them',
  )
}
