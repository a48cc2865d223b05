/**
 * The v1 infohash: the SHA-1 of the bencoded info dictionary (BEP 3), carried as a type that proves its form.
 */
import { createHash } from 'node:crypto'
import { UsageError } from '../errors.ts'

declare const proven: unique symbol

/** 40 lower-case hex digits. */
export type InfoHash = string & { readonly [proven]: 'InfoHash' }

/** Bytes of a SHA-1, and so of an infohash and of each piece's hash. */
export const HASH_LENGTH = 20

const HEX = /^[0-9a-f]{40}$/
const BASE32 = /^[a-z2-7]{32}$/
const BASE32_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** True for 40 lower-case hex digits. */
export function isInfoHash(text: unknown): text is InfoHash {
  return typeof text === 'string' && HEX.test(text)
}

/**
 * Reads an infohash as people paste it: 40 hex digits, or the 32 base32 characters of old magnet links (BEP
 * 9), in either case.
 * @throws UsageError `bad-id`
 */
export function parseInfoHash(text: string): InfoHash {
  const lower = text.trim().toLowerCase()
  if (isInfoHash(lower)) return lower
  if (BASE32.test(lower)) return infoHashOfBytes(decodeBase32(lower))
  throw new UsageError(
    'bad-id',
    `${JSON.stringify(text.slice(0, 80))} is not an infohash: it must be 40 hex digits or 32 base32 characters; ` +
      'copy it again in full',
  )
}

/** The 20 bytes that go over the wire. */
export function infoHashBytes(infoHash: InfoHash): Uint8Array {
  return new Uint8Array(Buffer.from(infoHash, 'hex'))
}

/** The infohash of 20 bytes as they come from the wire. */
export function infoHashOfBytes(bytes: Uint8Array): InfoHash {
  if (bytes.byteLength !== HASH_LENGTH) {
    throw new UsageError('bad-id', `an infohash has ${HASH_LENGTH} bytes, not ${bytes.byteLength}`)
  }
  return Buffer.from(bytes).toString('hex') as InfoHash
}

/** The infohash of a bencoded info dictionary. */
export function infoHashOfInfo(info: Uint8Array): InfoHash {
  return createHash('sha1').update(info).digest('hex') as InfoHash
}

function decodeBase32(text: string): Uint8Array {
  let bits = 0n
  for (const character of text) bits = (bits << 5n) | BigInt(BASE32_ALPHABET.indexOf(character))
  return new Uint8Array(Buffer.from(bits.toString(16).padStart(HASH_LENGTH * 2, '0'), 'hex'))
}
