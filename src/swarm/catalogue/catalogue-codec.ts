/**
 * The bytes of catalogue messages (docs/catalogue-protocol.md), bencoded as BEP 10 messages are. Everything a
 * peer sends passes here once: what comes out is within the limits, and its names are safe for a disk.
 */
import bencode from 'bencode'
import { messageOf } from '../../errors.ts'
import { scanDictionary } from '../../metainfo/bencode-scan.ts'
import { nameProblem } from '../../metainfo/file-name.ts'
import { type InfoHash, infoHashBytes, parseInfoHash } from '../../metainfo/info-hash.ts'
import {
  type CatalogueMessage,
  type IntegrityInfo,
  MAX_OFFERED_SHARDS,
  type MemberInfo,
  type OfferedShard,
} from './catalogue-entry.ts'

/** Longer than any page this program writes; a quarter of what the wire lets through. */
const MAX_FRAME_BYTES = 64 * 1024
/** A hello has 60 bytes; both are kept as long as the connection, and go into the code of each message. */
const MAX_HELLO_BYTES = 1024
/** An entry has some 200 bytes, one with the longest names 1,000: a page stays well within a frame. */
export const PAGE_ENTRIES = 50
/** Entries taken from one page, of other implementations too. */
const MAX_PAGE_ENTRIES = 1_000
/** Withdrawals of one page: 20 bytes each, a whole frame of them. */
const MAX_PAGE_DROPS = 3_000
const MAX_TEXT_BYTES = 255
/** Kinds of what a host kept out: this program has eleven. */
const MAX_KINDS = 32
const KIND = /^[a-z][a-z-]{0,31}$/
/** llama.cpp writes the numbers of a split set with five digits. */
const MAX_SPLIT_COUNT = 99_999
/** BEP 3's piece lengths in use: 16 KiB blocks up to what any client accepts. */
const MIN_PIECE_LENGTH = 16 * 1024
const MAX_PIECE_LENGTH = 256 * 1024 * 1024

/** What is wrong with a message. */
export class MalformedMessage extends Error {}

/** The last that `Date` knows. */
const MAX_TIME_MS = 8.64e15

type Fields = Readonly<Record<string, unknown>>

/** The opening of a connection: version and nonce, sent before anything is proved. */
export interface Hello {
  readonly version: number
  readonly nonce: Uint8Array
}

export const encodeHello = ({ version, nonce }: Hello): Uint8Array =>
  bencode.encode({ n: nonce, t: 'hello', v: version })

export const encodeProof = (proof: Uint8Array): Uint8Array => bencode.encode({ p: proof, t: 'proof' })

/** @throws {MalformedMessage} */
export function decodeHello(bytes: Uint8Array): Hello {
  if (bytes.length > MAX_HELLO_BYTES)
    throw new MalformedMessage(`a hello longer than ${MAX_HELLO_BYTES} bytes`)
  const fields = decodeFields(bytes)
  if (textOf(fields, 't') !== 'hello') throw new MalformedMessage('not a hello')
  return { version: numberOf(fields, 'v', 0, Number.MAX_SAFE_INTEGER), nonce: bytesOf(fields, 'n', 32) }
}

/** @throws {MalformedMessage} */
export function decodeProof(bytes: Uint8Array): Uint8Array {
  const fields = decodeFields(bytes)
  if (textOf(fields, 't') !== 'proof') throw new MalformedMessage('not a proof')
  return bytesOf(fields, 'p', 32)
}

export function encodeMessage(message: CatalogueMessage): Uint8Array {
  switch (message.type) {
    case 'info':
      return bencode.encode({ ...infoFields(message.info), t: 'info', want: message.wantsCatalogue ? 1 : 0 })
    case 'beat':
      return bencode.encode({ ...beatFields(message.info), n: message.shardCount, t: 'beat' })
    case 'shards':
      return bencode.encode({
        drop: message.drop.map((infoHash) => infoHashBytes(infoHash)),
        more: message.isPartial ? 1 : 0,
        put: message.put.map(shardFields),
        t: 'shards',
      })
    case 'bye':
      return bencode.encode({ t: 'bye' })
  }
}

/**
 * Null for a type this version does not know: a later one may have more.
 * @throws {MalformedMessage}
 */
export function decodeMessage(bytes: Uint8Array): CatalogueMessage | null {
  const fields = decodeFields(bytes)
  switch (textOf(fields, 't')) {
    case 'info':
      return { type: 'info', info: memberInfoOf(fields), wantsCatalogue: fields['want'] === 1 }
    case 'beat':
      return { type: 'beat', info: beatOf(fields), shardCount: numberOf(fields, 'n', 0, MAX_OFFERED_SHARDS) }
    case 'shards': {
      const put = listOf(fields, 'put', MAX_PAGE_ENTRIES).map((entry) => shardOf(fieldsOf(entry)))
      const drop = listOf(fields, 'drop', MAX_PAGE_DROPS).map((entry) => infoHashFrom(entry))
      return { type: 'shards', put, drop, isPartial: fields['more'] === 1 }
    }
    case 'bye':
      return { type: 'bye' }
    default:
      return null
  }
}

/**
 * Why every member would refuse us for this offer, or undefined. A file can have a name that no other machine
 * would take; it must not cost a host its place in the fleet.
 */
export function offerProblem(shard: OfferedShard): string | undefined {
  try {
    shardOf(decodeFields(bencode.encode(shardFields(shard))))
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

const infoFields = (info: MemberInfo): Fields => ({
  ...beatFields(info),
  id: Buffer.from(info.hostId, 'hex'),
  name: info.name,
  port: info.port,
  role: info.role,
  start: info.startedAt,
  ver: info.version,
})

type Beat = Extract<CatalogueMessage, { type: 'beat' }>['info']

const beatFields = (info: Beat): Fields => ({
  down: Math.round(info.downloadBytesPerSecond),
  free: info.freeDiskBytes ?? -1,
  ...(info.keptOut && { kept: info.keptOut }),
  ...(info.strangersRefused !== undefined && { out: info.strangersRefused }),
  rep: info.replicating ? 1 : 0,
  ...(info.integrity && { rot: info.integrity.rottenShards, sound: info.integrity.recheckedAt ?? -1 }),
  up: Math.round(info.uploadBytesPerSecond),
})

const shardFields = (shard: OfferedShard): Fields => ({
  arch: shard.architecture ?? '',
  h: infoHashBytes(shard.infoHash),
  have: shard.verifiedBytes,
  len: shard.length,
  model: shard.model,
  name: shard.name,
  no: shard.number,
  of: shard.count,
  pl: shard.pieceLength,
  s: shard.state === 'seeding' ? 1 : 0,
  sha: Buffer.from(shard.sha256, 'hex'),
  size: shard.sizeLabel ?? '',
})

function memberInfoOf(fields: Fields): MemberInfo {
  return {
    ...beatOf(fields),
    hostId: Buffer.from(bytesOf(fields, 'id', 20)).toString('hex'),
    name: textOf(fields, 'name'),
    version: textOf(fields, 'ver'),
    // Whatever a later version may call itself: only a host has a catalogue.
    role: textOf(fields, 'role') === 'host' ? 'host' : 'coordinator',
    startedAt: numberOf(fields, 'start', 0, MAX_TIME_MS),
    port: numberOf(fields, 'port', 1, 65535),
  }
}

function beatOf(fields: Fields): Beat {
  const free = numberOf(fields, 'free', -1, Number.MAX_SAFE_INTEGER)
  return {
    replicating: fields['rep'] === 1,
    freeDiskBytes: free < 0 ? null : free,
    uploadBytesPerSecond: numberOf(fields, 'up', 0, Number.MAX_SAFE_INTEGER),
    downloadBytesPerSecond: numberOf(fields, 'down', 0, Number.MAX_SAFE_INTEGER),
    ...(fields['out'] !== undefined && {
      strangersRefused: numberOf(fields, 'out', 0, Number.MAX_SAFE_INTEGER),
    }),
    ...(fields['rot'] !== undefined && { integrity: integrityOf(fields) }),
    ...(fields['kept'] !== undefined && { keptOut: keptOutOf(fieldsOf(fields['kept'])) }),
  }
}

function keptOutOf(kinds: Fields): Readonly<Record<string, number>> {
  const names = Object.keys(kinds)
  if (names.length > MAX_KINDS || !names.every((name) => KIND.test(name)))
    throw new MalformedMessage(`'kept' is not a dictionary of up to ${MAX_KINDS} kinds`)
  return Object.fromEntries(names.map((name) => [name, numberOf(kinds, name, 0, Number.MAX_SAFE_INTEGER)]))
}

function integrityOf(fields: Fields): IntegrityInfo {
  const at = numberOf(fields, 'sound', -1, MAX_TIME_MS)
  return { rottenShards: numberOf(fields, 'rot', 0, MAX_OFFERED_SHARDS), recheckedAt: at < 0 ? null : at }
}

function shardOf(fields: Fields): OfferedShard {
  const length = numberOf(fields, 'len', 1, Number.MAX_SAFE_INTEGER)
  const count = numberOf(fields, 'of', 1, MAX_SPLIT_COUNT)
  const isWhole = fields['s'] === 1
  return {
    infoHash: infoHashFrom(fields['h']),
    name: shardNameOf(fields),
    length,
    pieceLength: numberOf(fields, 'pl', MIN_PIECE_LENGTH, MAX_PIECE_LENGTH),
    sha256: Buffer.from(bytesOf(fields, 'sha', 32)).toString('hex'),
    state: isWhole ? 'seeding' : 'fetching',
    verifiedBytes: isWhole ? length : numberOf(fields, 'have', 0, length),
    model: fileNameOf(fields, 'model'),
    number: numberOf(fields, 'no', 1, count),
    count,
    architecture: textOf(fields, 'arch') || null,
    sizeLabel: textOf(fields, 'size') || null,
  }
}

/** The decoder does not survive bytes that were not walked before (see metainfo/bencode-scan). */
function decodeFields(bytes: Uint8Array): Fields {
  if (bytes.length > MAX_FRAME_BYTES) throw new MalformedMessage(`longer than ${MAX_FRAME_BYTES} bytes`)
  try {
    scanDictionary(bytes)
    return bencode.decode(bytes) as Fields
  } catch (error) {
    throw new MalformedMessage('not a bencoded dictionary', { cause: error })
  }
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw new MalformedMessage('an entry that is no dictionary')
  }
  return value as Fields
}

function bytesOf(fields: Fields, key: string, length: number): Uint8Array {
  const value = fields[key]
  if (value instanceof Uint8Array && value.length === length) return value
  throw new MalformedMessage(`'${key}' is not ${length} bytes`)
}

function numberOf(fields: Fields, key: string, min: number, max: number): number {
  const value = fields[key]
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
  throw new MalformedMessage(`'${key}' is not a number from ${min} to ${max}`)
}

/** Text of any content, for people: whoever prints it escapes it for where it is printed. */
function textOf(fields: Fields, key: string): string {
  const value = fields[key]
  if (!(value instanceof Uint8Array) || value.length > MAX_TEXT_BYTES) {
    throw new MalformedMessage(`'${key}' is not a text of up to ${MAX_TEXT_BYTES} bytes`)
  }
  return Buffer.from(value).toString('utf8')
}

/** What may become the name of a file here, and no other kind of file than a shard. */
function shardNameOf(fields: Fields): string {
  const name = fileNameOf(fields, 'name')
  if (!/\.gguf$/i.test(name)) throw new MalformedMessage("'name' is not the name of a .gguf file")
  return name
}

/** Text that may become the name of a file: bytes that are no text would become those of another name. */
function fileNameOf(fields: Fields, key: string): string {
  const name = textOf(fields, key)
  if (Buffer.compare(Buffer.from(name), fields[key] as Uint8Array) !== 0) {
    throw new MalformedMessage(`'${key}' is not UTF-8`)
  }
  const problem = name.startsWith('.') ? 'it is hidden' : nameProblem(name)
  if (problem !== undefined) throw new MalformedMessage(`'${key}' is not a file name: ${problem}`)
  return name
}

function listOf(fields: Fields, key: string, max: number): readonly unknown[] {
  const value = fields[key] ?? []
  if (Array.isArray(value) && value.length <= max) return value
  throw new MalformedMessage(`'${key}' is not a list of up to ${max} entries`)
}

function infoHashFrom(value: unknown): InfoHash {
  if (value instanceof Uint8Array && value.length === 20)
    return parseInfoHash(Buffer.from(value).toString('hex'))
  throw new MalformedMessage('an infohash is not 20 bytes')
}
