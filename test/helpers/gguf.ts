/**
 * Builds GGUF files, valid and broken ones, byte by byte and with no help from `src/gguf`, so that the
 * reader is tested against a second opinion of the format. Everything is a pure function of its arguments.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { ByteWriter, type Items, type Plain, VALUE_TYPES, type ValueType } from './byte-writer.ts'
import { SeededBytes } from './seeded-bytes.ts'

/** A metadata value with the type it is written as; the items of an array carry no type of their own. */
export interface TypedValue {
  readonly type: ValueType
  readonly value: Plain
}

/** A value of any type but an array: `value('u32', 7)`. */
export function value(type: ValueType, plain: Plain): TypedValue {
  return { type, value: plain }
}

/** The items of an array; alone it is an item of an array of arrays. */
export function items(of: ValueType, list: readonly Plain[]): Items {
  return { of, items: list }
}

/** A metadata array: `array('string', ['a', 'b'])`. */
export function array(of: ValueType, list: readonly Plain[]): TypedValue {
  return { type: 'array', value: items(of, list) }
}

/** Tensor types the tests use: number in the file, elements of a block, bytes of a block. */
const TENSOR_TYPES = {
  f32: [0, 1, 4],
  f16: [1, 1, 2],
  q8_0: [8, 32, 34],
  q4_k: [12, 256, 144],
  i8: [24, 1, 1],
} as const satisfies Record<string, readonly [id: number, elements: number, bytes: number]>

export interface TensorSpec {
  readonly name: string
  /** Number of elements along each dimension, the fastest first. */
  readonly dims: readonly (number | bigint)[]
  /** One of {@link TENSOR_TYPES}, or a bare number to write an unknown type. Default: f32. */
  readonly type?: keyof typeof TENSOR_TYPES | number
  /** The tensor's bytes; by default as many as its type and dimensions need, filled by the spec's seed. */
  readonly data?: Uint8Array
  /** Written instead of the right offset. */
  readonly offset?: number | bigint
}

export interface GgufSpec {
  readonly magic?: string
  readonly version?: number
  readonly littleEndian?: boolean
  readonly metadata?: Readonly<Record<string, TypedValue>> | readonly (readonly [string, TypedValue])[]
  readonly tensors?: readonly TensorSpec[]
  /** Lays the data out so; it is only written as `general.alignment` if the metadata says so. Default: 32. */
  readonly alignment?: number
  /** Written instead of the true numbers. */
  readonly tensorCount?: number | bigint
  readonly metadataCount?: number | bigint
  /** Whether the last tensor is padded too, as llama.cpp's writers do. Default: true. */
  readonly padEnd?: boolean
  /** Seed of tensor bytes that are not given. Default: 1. */
  readonly seed?: number
}

/** The bytes of a whole GGUF file. */
export function buildGguf(spec: GgufSpec = {}): Buffer {
  const { alignment = 32, tensors = [], padEnd = true } = spec
  const writer = new ByteWriter(spec.littleEndian)
  const data = writeHeader(writer, spec)
  if (tensors.length === 0) return writer.bytes
  writer.zeros(padding(writer.length, alignment))
  for (const [index, bytes] of data.entries()) {
    writer.raw(bytes)
    if (padEnd || index < data.length - 1) writer.zeros(padding(bytes.length, alignment))
  }
  return writer.bytes
}

/** Writes all that stands before the data and gives each tensor's bytes. */
function writeHeader(writer: ByteWriter, spec: GgufSpec): Uint8Array[] {
  const { alignment = 32, tensors = [], seed = 1 } = spec
  const metadata = isList(spec.metadata) ? spec.metadata : Object.entries(spec.metadata ?? {})
  writer.raw(Buffer.from(spec.magic ?? 'GGUF', 'latin1')).plain('u32', spec.version ?? 3)
  writer.plain('u64', spec.tensorCount ?? tensors.length).plain('u64', spec.metadataCount ?? metadata.length)
  for (const [key, { type, value: plain }] of metadata) {
    writer.string(key).plain('u32', VALUE_TYPES.indexOf(type)).plain(type, plain)
  }
  const random = new SeededBytes(seed)
  let offset = 0
  return tensors.map((tensor) => {
    const data = tensor.data ?? random.next(tensorLength(tensor))
    const { type = 'f32' } = tensor
    writer.string(tensor.name).plain('u32', tensor.dims.length)
    for (const dim of tensor.dims) writer.plain('u64', dim)
    writer.plain('u32', typeof type === 'number' ? type : TENSOR_TYPES[type][0])
    writer.plain('u64', tensor.offset ?? offset)
    offset += data.length + padding(data.length, alignment)
    return data
  })
}

function isList(metadata: GgufSpec['metadata']): metadata is readonly (readonly [string, TypedValue])[] {
  return Array.isArray(metadata)
}

function tensorLength({ dims, type = 'f32' }: TensorSpec): number {
  if (typeof type === 'number') return 32
  const [, blockElements, blockBytes] = TENSOR_TYPES[type]
  const elements = dims.reduce((product: number, dim) => product * Number(dim), 1)
  return (elements / blockElements) * blockBytes
}

function padding(length: number, alignment: number): number {
  return (alignment - (length % alignment)) % alignment
}

/** The shortest file {@link writeModel} can write (longer names need a little more). */
const SMALLEST_MODEL_BYTES = 256

const WRITE_CHUNK_BYTES = 1024 * 1024

/** A file that {@link writeModel} makes. */
export interface ModelFile {
  readonly bytes: number
  readonly seed: number
  readonly name?: string
  /** Makes it one of a split set; `no` counts from 0. */
  readonly split?: { readonly no: number; readonly count: number }
}

/**
 * Writes a valid GGUF file of exactly `bytes` bytes: a short header and one I8 tensor that reaches to
 * the last byte, so that a copy that lacks even one byte is incomplete. Equal arguments give equal files,
 * other seeds give other bytes in every piece. Never holds more than 1 MiB.
 */
export async function writeModel(
  path: string,
  { bytes, seed, name = `test model ${seed}`, split }: ModelFile,
): Promise<void> {
  const header = modelHeader(bytes, name, split)
  const file = await open(path, 'w')
  try {
    await writeAll(file, header)
    const random = new SeededBytes(seed)
    for (let left = bytes - header.length; left > 0; left -= WRITE_CHUNK_BYTES) {
      await writeAll(file, random.next(Math.min(left, WRITE_CHUNK_BYTES)))
    }
  } finally {
    await file.close()
  }
}

/** Writes a valid GGUF file that takes no room on the disk: all of its tensor is zeros. Gives its header. */
export async function writeSparseModel(path: string, bytes: number, name: string): Promise<Uint8Array> {
  const header = modelHeader(bytes, name, undefined)
  const file = await open(path, 'w')
  try {
    await writeAll(file, header)
    await file.truncate(bytes)
    return header
  } finally {
    await file.close()
  }
}

/** The header of a file of `bytes` bytes, padded to where the data begins. */
function modelHeader(bytes: number, name: string, split: ModelFile['split']): Buffer {
  const metadata = {
    'general.architecture': value('string', 'test'),
    'general.name': value('string', name),
    ...(split === undefined ? {} : splitMetadata(split)),
  }
  const header = (length: number): Buffer => {
    const tensors: TensorSpec[] = [{ name: 'data', dims: [length], type: 'i8', data: new Uint8Array() }]
    return buildGguf({ metadata, tensors })
  }
  // The tensor's length is a fixed 8 bytes in the header, so the header's length does not depend on it.
  const dataBytes = bytes - header(0).length
  if (!Number.isSafeInteger(bytes) || dataBytes < 1) {
    throw new RangeError(`a model needs at least ${SMALLEST_MODEL_BYTES} bytes (asked for ${bytes})`)
  }
  return header(dataBytes)
}

/** Each shard holds one tensor. */
const splitMetadata = ({ no, count }: NonNullable<ModelFile['split']>): Record<string, TypedValue> => ({
  'split.no': value('u16', no),
  'split.count': value('u16', count),
  'split.tensors.count': value('i32', count),
})

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at)).bytesWritten
  }
}

/** What the reader reads from: a file's bytes without a file, at most `perRead` of them at a time. */
export function bytesSource(
  bytes: Uint8Array,
  { perRead = Number.POSITIVE_INFINITY, length = bytes.length }: { perRead?: number; length?: number } = {},
): { length: number; read(target: Uint8Array, position: number): Promise<number> } {
  return {
    length,
    read: async (target, position) => {
      const part = bytes.subarray(position, position + Math.min(perRead, target.length))
      target.set(part)
      return part.length
    },
  }
}
