/**
 * The one table of defaults, and the readers of option values. Below the commands everything gets complete
 * options; nothing there knows a default.
 */
import { UsageError } from './errors.ts'
import { type PeerAddress, parsePeerAddress } from './metainfo/peer-address.ts'
import { parseWebSeed } from './metainfo/web-seed.ts'

/** The version of this program, as package.json says it; held by a test. */
export const VERSION = '0.1.0'

/** Defaults of all commands. Folders are relative to the current one. */
export const DEFAULTS = {
  shardsDir: 'models_cache/shards',
  torrentsDir: 'models_cache/torrents',
  stateDir: 'models_cache/state',
  bootstrapStateDir: 'models_cache/bootstrap',
  /** The fleet's key, used where it stands when nothing else is said. */
  fleetKey: 'models_cache/fleet.key',
  /** The open fleet of those that name none. */
  fleet: 'default',
  /** A shard with one copy is one broken disk away from being lost. */
  replicas: 2,
  /** Where a fleet's own bootstrap is looked for when none is named. */
  bootstrap: { host: '127.0.0.1', port: 51820 },
  /** All interfaces: a host is there to be reached. */
  bind: '0.0.0.0',
  /** What the page asks for where others than this machine can reach it. */
  webToken: 'models_cache/state/web.token',
  /** The page shows what a fleet has: to this machine only, unless asked for. */
  web: { host: '127.0.0.1', httpPort: 8080, livePort: 8081 },
  /**
   * 10 TB in a month, as often as file systems that keep checksums are scrubbed; it costs a disk a fiftieth of its
   * time and a core a hundredth.
   */
  recheckRate: '4M',
  /** 500 peers at once cost some 50 MB and stay below the usual limit of 1,024 descriptors. */
  maxConns: 500,
  /** Longer than the slowest standard client needs to be found: Transmission's own DHT start takes two minutes. */
  timeoutSeconds: 180,
} as const

/** Mainline's public routers, asked only with `--public`. */
export const PUBLIC_BOOTSTRAP: readonly PeerAddress[] = [
  { host: 'router.bittorrent.com', port: 6881 },
  { host: 'dht.transmissionbt.com', port: 6881 },
  { host: 'router.utorrent.com', port: 6881 },
  { host: 'dht.libtorrent.org', port: 25401 },
]

/** Stored peers of others expire after three missed re-announces (BEP 5 leaves the time open). */
export const STORED_PEER_MAX_AGE_MS: number = 45 * 60_000

/**
 * Reads `HOST:PORT`; `option` names it in the error.
 * @throws {UsageError} `bad-address`
 */
export function parseAddressOption(text: string, option: string): PeerAddress {
  const address = parsePeerAddress(text.trim())
  if (address !== undefined) return address
  throw new UsageError('bad-address', `${option}: '${text}' is not HOST:PORT; write it like 10.0.0.1:51820`)
}

/**
 * Reads the address of a web server; `option` names it in the error.
 * @throws {UsageError} `bad-url`
 */
export function parseWebSeedOption(text: string, option: string): string {
  const url = parseWebSeed(text)
  if (url !== undefined) return url
  throw new UsageError(
    'bad-url',
    `${option}: '${text}' is no address of a web server; write it like https://models.example/files/ (no password in it)`,
  )
}

/**
 * Reads a port, 0–65535; 0 means a free one.
 * @throws {UsageError} `bad-port`
 */
export function parsePortOption(value: number, option: string): number {
  // 65535 is left out: the engine refuses to connect to it.
  if (Number.isInteger(value) && value >= 0 && value < 65535) return value
  throw new UsageError(
    'bad-port',
    `${option}: not a port; give a number from 1 to 65534, or 0 for a free one`,
  )
}

const RATE_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/**
 * Reads a rate such as `500K`, `10M` or `1.5G`: bytes a second, in powers of 1,024.
 * @throws {UsageError} `bad-rate`
 */
export function parseRateOption(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg]?)(?:i?b)?(?:\/s)?$/i.exec(text.trim())
  const rate = Math.round(Number(match?.[1]) * (RATE_UNITS[match?.[2]?.toLowerCase() ?? ''] ?? Number.NaN))
  if (rate > 0) return rate
  throw new UsageError(
    'bad-rate',
    `${option}: '${text}' is not a rate; write bytes a second, like 500K or 10M`,
  )
}
