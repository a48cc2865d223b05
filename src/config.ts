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

/** The page about files of Hugging Face, which people copy from their browser; the files are elsewhere. */
const HUB_PAGE = /^(https:\/\/huggingface\.co\/[^/]+\/[^/]+\/)(?:blob|tree)\//

/**
 * Reads the address of a mirror, which others will be told of: a folder with a slash at its end, or a .gguf file.
 * @throws {UsageError} `bad-url`
 */
export function parseMirrorOption(text: string, option: string): string {
  const url = parseWebSeedOption(text, option)
  if (HUB_PAGE.test(url)) {
    const files = url.replace(HUB_PAGE, '$1resolve/')
    throw new UsageError('bad-url', `${option}: '${text}' is a page about files; the files are at ${files}`)
  }
  if (url.endsWith('/') || /\.gguf$/i.test(new URL(url).pathname)) return url
  throw new UsageError(
    'bad-url',
    `${option}: '${text}' is neither a folder nor a .gguf file; the address of a folder ends in /, and each file's name ` +
      'is put behind it',
  )
}

/**
 * Reads a port, 0–65534; 0 means a free one.
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

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
}

/** Bytes of a text such as `500K` or `1.5G`, in powers of 1,024; NaN for any other text. */
function bytesIn(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? []
  const bytes = Math.round(Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN))
  return Number.isSafeInteger(bytes) ? bytes : Number.NaN
}

/**
 * Reads a rate such as `500K`, `10M` or `1.5G`: bytes a second, in powers of 1,024.
 * @throws {UsageError} `bad-rate`
 */
export function parseRateOption(text: string, option: string): number {
  const rate = bytesIn(text.trim().replace(/\/s$/i, ''))
  if (rate > 0) return rate
  throw new UsageError(
    'bad-rate',
    `${option}: '${text}' is not a rate; write bytes a second, like 500K or 10M`,
  )
}

/**
 * Reads a size such as `500G` or `1.5T`: bytes, in powers of 1,024 like rates.
 * @throws {UsageError} `bad-size`
 */
export function parseSizeOption(text: string, option: string): number {
  const size = bytesIn(text)
  if (size >= 0) return size
  throw new UsageError('bad-size', `${option}: '${text}' is not a size; write bytes, like 500G or 1.5T`)
}

/**
 * Reads a number of whole copies.
 * @throws {UsageError} `bad-replicas`
 */
export function parseReplicasOption(value: number, option: string): number {
  if (Number.isInteger(value) && value >= 1) return value
  throw new UsageError('bad-replicas', `${option}: give a number of copies from 1 up`)
}

/**
 * Reads a number of connections.
 * @throws {UsageError} `bad-max-conns`
 */
export function parseMaxConnsOption(value: number, option: string): number {
  if (Number.isInteger(value) && value >= 1) return value
  throw new UsageError('bad-max-conns', `${option}: give a number of connections from 1 up`)
}

/** Fits a column of a table, and the longest host name of RFC 1035 without its domain; others refuse what is too long. */
const MAX_HOST_NAME_BYTES = 64

/**
 * Reads what a host is called in its fleet.
 * @throws {UsageError} `bad-name`
 */
export function parseHostNameOption(name: string, option: string): string {
  if (name.trim() !== '' && Buffer.byteLength(name) <= MAX_HOST_NAME_BYTES) return name
  throw new UsageError('bad-name', `${option}: give a name of 1 to ${MAX_HOST_NAME_BYTES} bytes`)
}
