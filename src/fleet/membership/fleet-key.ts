/**
 * Who belongs to a fleet: whoever knows its name (open), or holds its key (keyed). Both give a secret and the
 * rendezvous infohash that members announce; for an open fleet the secret is no secret, only the same way.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DEFAULTS } from '../../config.ts'
import { asDiskError, messageOf, systemCode, UsageError } from '../../errors.ts'
import { makeFolder } from '../../library/atomic-file.ts'
import { type InfoHash, infoHashOfBytes } from '../../metainfo/info-hash.ts'
import type { DhtChoice } from '../network.ts'

/** What HMAC-SHA-256 takes at most from a key, and nobody guesses. */
const SECRET_BYTES = 32
const MAX_NAME_LENGTH = 200
/** A key has 82 bytes; an editor may add a line end or two. */
const MAX_FILE_BYTES = 128
const KEY_LINE = /^gguf-swarm-key-1 ([0-9a-f]{64})$/

/** Membership. */
export type FleetKey =
  | { readonly kind: 'open'; readonly name: string }
  | { readonly kind: 'keyed'; readonly secret: Uint8Array; readonly file: string }

/** The 32 bytes that members prove to each other to know. */
export function secretOf(key: FleetKey): Uint8Array {
  return key.kind === 'keyed'
    ? key.secret
    : createHash('sha256').update(`gguf-swarm open fleet ${key.name}`).digest()
}

/** The infohash the members of a fleet announce; it does not give the key away. */
export function rendezvousOf(key: FleetKey): InfoHash {
  const mac = createHmac('sha256', secretOf(key)).update('gguf-swarm rendezvous').digest()
  return infoHashOfBytes(new Uint8Array(mac.subarray(0, 20)))
}

/** The fleet in words, for messages. */
export function fleetLabel(key: FleetKey): string {
  return key.kind === 'open' ? `open fleet '${key.name}'` : `fleet of the key ${key.file}`
}

/**
 * Makes a new key and writes it, readable for its owner only.
 * @throws {UsageError} `key-exists`; {@link DiskError}
 */
export async function createKeyFile(path: string): Promise<FleetKey> {
  const secret = randomBytes(SECRET_BYTES)
  try {
    await makeFolder(dirname(path))
    await using file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(`gguf-swarm-key-1 ${secret.toString('hex')}\n`)
      await file.sync()
    } catch (error) {
      await unlink(path).catch(() => undefined) // half a key would stand in the way of a whole one
      throw error
    }
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw asDiskError(error, path)
    throw new UsageError(
      'key-exists',
      `${path} exists; a fleet's key is not replaced, because hosts that hold it would no longer be met. Choose another file`,
    )
  }
  return { kind: 'keyed', secret: new Uint8Array(secret), file: path }
}

/**
 * Reads a key file.
 * @throws {UsageError} `bad-key` when it is not there or is no key
 */
export async function loadKeyFile(path: string): Promise<FleetKey> {
  let text: string
  try {
    text = await readStart(path)
  } catch (error) {
    const why = systemCode(error) === 'ENOENT' ? 'there is no such file' : messageOf(error)
    throw new UsageError(
      'bad-key',
      `cannot read the fleet key ${path}: ${why}; make one with \`gguf-swarm key ${path}\`, or copy it from another host`,
      { cause: error },
    )
  }
  const [, hex] = KEY_LINE.exec(text.trim()) ?? []
  if (hex === undefined) {
    throw new UsageError('bad-key', `${path} is not a fleet key; \`gguf-swarm key\` makes one`)
  }
  return { kind: 'keyed', secret: new Uint8Array(Buffer.from(hex, 'hex')), file: path }
}

/** The text of a file that may be a key, and nothing of a longer one: whatever is named may be endless. */
async function readStart(path: string): Promise<string> {
  await using file = await open(path, 'r')
  const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_FILE_BYTES + 1), 0, MAX_FILE_BYTES + 1, 0)
  return bytesRead > MAX_FILE_BYTES ? '' : buffer.toString('utf8', 0, bytesRead)
}

/** What the command line says about the fleet. */
export interface FleetOptions {
  readonly fleet?: string | undefined
  readonly fleetKey?: string | undefined
  readonly dht: DhtChoice
}

/**
 * The fleet that the options ask for. Without any, the key in `models_cache/fleet.key` if there is one; else, in
 * a private DHT, the open fleet `default`, and on the public DHT none, as strangers would meet there.
 * @throws {UsageError} `both-fleets`, `bad-fleet`, `bad-key`
 */
export async function chooseFleet({ fleet, fleetKey, dht }: FleetOptions): Promise<FleetKey | null> {
  if (fleet !== undefined && fleetKey !== undefined) {
    throw new UsageError(
      'both-fleets',
      '--fleet joins an open fleet and --fleet-key a keyed one; give one of them',
    )
  }
  if (fleetKey !== undefined) return loadKeyFile(fleetKey)
  if (fleet !== undefined) return openFleet(fleet)
  try {
    return await loadKeyFile(DEFAULTS.fleetKey)
  } catch (error) {
    if (systemCode((error as Error).cause) !== 'ENOENT') throw error
  }
  return dht.kind === 'private' ? openFleet(DEFAULTS.fleet) : null
}

function openFleet(name: string): FleetKey {
  if (name.trim() !== '' && name.length <= MAX_NAME_LENGTH) return { kind: 'open', name }
  throw new UsageError('bad-fleet', `--fleet: give a name of 1 to ${MAX_NAME_LENGTH} characters`)
}
