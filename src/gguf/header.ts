/**
 * Reads the header of a GGUF file: all that stands before the tensor data. Written after the format's
 * description (ggml/docs/gguf.md) and as strict as llama.cpp's own reader, because what that refuses is of no
 * use to anybody. Every length and count is checked against a limit and against the bytes there are.
 */
import { FOREIGN_PEEK_BYTES, foreignFile, MAGIC } from './foreign.ts'
import {
  ALIGNMENT_KEY,
  type GgufValue,
  MIN_ENTRY_BYTES,
  readCount,
  readMetadata,
  readShortText,
} from './metadata.ts'
import { grouped, HeaderCut, HeaderRejected, quoted } from './problem.ts'
import { tensorTypeOf } from './tensor-types.ts'
import { type ByteSource, HeaderWindow } from './window.ts'

export type { GgufArrayShape, GgufTextShape, GgufValue, GgufValueType } from './metadata.ts'

/** One row of the tensor table. */
export interface GgufTensor {
  readonly name: string
  /** The number of ggml's type; `tensor-types.ts` knows the names. */
  readonly type: number
  /** Elements along each dimension, the fastest first. */
  readonly dims: readonly number[]
  /** Where its bytes begin, counted from {@link GgufHeader.dataStart}. */
  readonly offset: number
  /** Without padding; null if the type's size is not known. */
  readonly byteLength: number | null
}

/** What a header says; small even for a file with a large vocabulary. */
export interface GgufHeader {
  readonly version: 2 | 3
  readonly littleEndian: boolean
  readonly tensorCount: number
  readonly metadataCount: number
  readonly alignment: number
  readonly tensors: readonly GgufTensor[]
  readonly metadata: ReadonlyMap<string, GgufValue>
  /** Where the tensor data begins, in bytes from the start of the file. */
  readonly dataStart: number
}

/** Magic, version, and the two counts. */
const PREAMBLE_BYTES = 24

/** Real files have under 100 entries. Bounds the memory taken by what is kept of them. */
const MAX_METADATA_COUNT = 16_384

/** The largest mixture of experts with one tensor an expert has about 70,000. */
const MAX_TENSOR_COUNT = 131_072

/** GGML_MAX_NAME is 64 and counts the closing zero byte. */
const MAX_TENSOR_NAME_BYTES = 63

/** GGML_MAX_DIMS. */
const MAX_DIMENSIONS = 4

/** The least a row of the tensor table takes: an empty name, no dimension, type and offset. */
const MIN_TENSOR_BYTES = 8 + 4 + 4 + 8

const DEFAULT_ALIGNMENT = 32

/**
 * Reads the header at the start of `source`.
 *
 * @throws HeaderRejected if no longer file beginning so could be GGUF, HeaderCut if the file ends too early,
 * FileShrank if it became shorter meanwhile, and whatever the source or the signal throws.
 */
export async function readGgufHeader(source: ByteSource, signal?: AbortSignal): Promise<GgufHeader> {
  const window = new HeaderWindow(source, signal)
  const version = await readVersion(window)
  const tensorCount = await readCount(window, MAX_TENSOR_COUNT, 'tensors')
  const metadataCount = await readCount(window, MAX_METADATA_COUNT, 'metadata entries')
  window.expect(metadataCount * MIN_ENTRY_BYTES + tensorCount * MIN_TENSOR_BYTES)
  const metadata = await readMetadata(window, metadataCount)
  const alignment = alignmentIn(metadata)
  const tensors = await readTensors(window, tensorCount, alignment)
  return {
    version,
    littleEndian: window.littleEndian,
    tensorCount,
    metadataCount,
    alignment,
    tensors,
    metadata,
    // Files without tensors (vocabularies, first parts of a split) end with the header, unpadded.
    dataStart: tensorCount === 0 ? window.position : padded(window.position, alignment),
  }
}

/** Reads magic and version, and tells the window the byte order. */
async function readVersion(window: HeaderWindow): Promise<2 | 3> {
  const beginning = await window.peek(FOREIGN_PEEK_BYTES)
  const magic = beginning.subarray(0, MAGIC.length)
  if (!magic.equals(MAGIC.subarray(0, magic.length))) throw foreignFile(beginning)
  if (beginning.length < MAGIC.length + 4) throw new HeaderCut(PREAMBLE_BYTES)
  window.skip(MAGIC.length)
  // Versions are small, so one whose low half is zero was written in the other byte order.
  const asLittleEndian = beginning.readUInt32LE(MAGIC.length)
  window.littleEndian = (asLittleEndian & 0xffff) !== 0
  const version = window.uint32()
  if (version === 2 || version === 3) return version
  if (version === 1) {
    throw new HeaderRejected(
      'unsupported-version',
      'GGUF version 1, which llama.cpp does not load; convert it again',
    )
  }
  if (version === 0)
    throw new HeaderRejected('malformed', 'has GGUF version 0; it is damaged, download it again')
  throw new HeaderRejected(
    'unsupported-version',
    `GGUF version ${grouped(version)}; versions 2 and 3 are known here, so update gguf-swarm or download it again`,
  )
}

function alignmentIn(metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get(ALIGNMENT_KEY) ?? DEFAULT_ALIGNMENT
  if (typeof alignment !== 'number' || alignment === 0 || !Number.isInteger(Math.log2(alignment))) {
    throw new HeaderRejected(
      'malformed',
      `has ${ALIGNMENT_KEY} ${alignment}, not a power of two; convert it again`,
    )
  }
  return alignment
}

async function readTensors(window: HeaderWindow, count: number, alignment: number): Promise<GgufTensor[]> {
  const tensors: GgufTensor[] = []
  const names = new Set<string>()
  // Data follows data without gaps, so each offset is known before it is read …
  let expectedOffset: number | null = 0
  for (let index = 0; index < count; index++) {
    const tensor: GgufTensor = await readTensor(window)
    if (names.has(tensor.name)) {
      throw new HeaderRejected('malformed', `has the tensor ${quoted(tensor.name)} twice; download it again`)
    }
    names.add(tensor.name)
    const previousOffset: number = tensors.at(-1)?.offset ?? 0
    checkOffset(tensor, expectedOffset, previousOffset, alignment)
    // … except after a tensor of unknown size.
    expectedOffset = tensor.byteLength === null ? null : padded(tensor.offset + tensor.byteLength, alignment)
    if (expectedOffset !== null && !Number.isSafeInteger(expectedOffset)) {
      throw new HeaderRejected(
        'over-limit',
        `its tensor data is larger than any file can be; download it again`,
      )
    }
    tensors.push(tensor)
  }
  return tensors
}

function checkOffset(tensor: GgufTensor, expected: number | null, previous: number, alignment: number): void {
  const { name, offset } = tensor
  const right = expected === null ? offset >= previous && offset % alignment === 0 : offset === expected
  if (right) return
  const where =
    expected === null ? `a multiple of ${alignment} from ${grouped(previous)} on` : grouped(expected)
  throw new HeaderRejected(
    'malformed',
    `has the data of tensor ${quoted(name)} at ${grouped(offset)} where ${where} is expected; download it again`,
  )
}

async function readTensor(window: HeaderWindow): Promise<GgufTensor> {
  const { text: name } = await readShortText(window, MAX_TENSOR_NAME_BYTES, 'a tensor name')
  await window.need(4)
  const dimensions = window.uint32()
  if (dimensions > MAX_DIMENSIONS) {
    throw new HeaderRejected(
      'malformed',
      `gives tensor ${quoted(name)} ${grouped(dimensions)} dimensions, more than the ${MAX_DIMENSIONS} there can be`,
    )
  }
  await window.need(dimensions * 8 + 12)
  const dims = Array.from({ length: dimensions }, () => safeNumber(window.uint64(), name))
  const type = window.uint32()
  const offset = safeNumber(window.uint64(), name)
  return { name, type, dims, offset, byteLength: byteLengthOf(name, type, dims) }
}

/** The bytes of a tensor without padding, or null if its type is not known. */
function byteLengthOf(name: string, id: number, dims: readonly number[]): number | null {
  const type = tensorTypeOf(id)
  if (type === undefined) return null
  const row = dims[0] ?? 1
  if (row % type.blockElements !== 0) {
    throw new HeaderRejected(
      'malformed',
      `has ${type.name} tensor ${quoted(name)} with rows of ${grouped(row)} elements, ` +
        `not a multiple of ${type.blockElements}; download it again`,
    )
  }
  const elements = dims.reduce((product, dim) => product * dim, 1)
  const bytes = (elements / type.blockElements) * type.blockBytes
  if (!Number.isSafeInteger(elements) || !Number.isSafeInteger(bytes)) throw tooLarge(name)
  return bytes
}

function safeNumber(number: bigint, name: string): number {
  if (number > Number.MAX_SAFE_INTEGER) throw tooLarge(name)
  return Number(number)
}

function tooLarge(name: string): HeaderRejected {
  return new HeaderRejected(
    'over-limit',
    `claims tensor ${quoted(name)} to be larger than any file can be; download it again`,
  )
}

/** `length` rounded up to a multiple of `alignment` (a power of two, so the remainder is exact). */
function padded(length: number, alignment: number): number {
  const over = length % alignment
  return over === 0 ? length : length + alignment - over
}
