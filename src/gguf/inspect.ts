/**
 * The verdict on a file that should be GGUF: whole, not yet whole, never GGUF, or beyond what can be told. The
 * header says where the last tensor ends, so a copy that lacks even one byte is known without reading the data.
 * What it cannot see are wrong bytes inside the data; that is what hashes are for.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { READ_FLAGS } from '../open-flags.ts'
import { type GgufHeader, readGgufHeader } from './header.ts'
import { FileShrank, type GgufRejection, grouped, HeaderCut, HeaderRejected, quoted } from './problem.ts'
import type { ByteSource } from './window.ts'

export type { GgufRejection } from './problem.ts'

/** What {@link inspectGguf} found; every `reason` says what is wrong and what to do, without the file's name. */
export type GgufVerdict =
  | {
      /** Every byte the header asks for is there. A longer file has something after its last tensor. */
      readonly kind: 'whole'
      readonly header: GgufHeader
      readonly minimumLength: number
    }
  | {
      /** Could become whole by growing. */
      readonly kind: 'incomplete'
      readonly reason: string
      readonly length: number
      /** At least so many bytes are needed; perhaps more, if the header itself is cut. */
      readonly minimumLength?: number
    }
  | {
      /** The header is valid, but the size of a tensor's type is not known, so neither is the file's. */
      readonly kind: 'undecidable'
      readonly header: GgufHeader
      readonly reason: string
    }
  | {
      /** Never becomes GGUF by growing. */
      readonly kind: 'invalid'
      readonly code: GgufRejection
      readonly reason: string
    }

export interface InspectOptions {
  readonly signal?: AbortSignal
  /** Judges only the first so many bytes. Default: all the file has. */
  readonly length?: number
}

/**
 * Judges the file at `path`, reading no more than its header. Errors of the file system are thrown as they are,
 * and so is the signal's reason.
 */
export async function inspectGguf(path: string, options: InspectOptions = {}): Promise<GgufVerdict> {
  const { signal } = options
  signal?.throwIfAborted()
  const file = await open(path, READ_FLAGS)
  try {
    const stats = await file.stat()
    if (!stats.isFile()) return { kind: 'invalid', code: 'not-gguf', reason: 'not a regular file' }
    const length = Math.min(options.length ?? stats.size, stats.size)
    const verdict = await judge(sourceOf(file, length), signal)
    // Somebody may have cut the file since its length was taken; the header does not show that.
    const lengthNow = (await file.stat()).size
    return lengthNow < length ? shrank(lengthNow) : verdict
  } finally {
    await file.close()
  }
}

function sourceOf(file: FileHandle, length: number): ByteSource {
  return {
    length,
    read: async (target, position) => (await file.read(target, 0, target.length, position)).bytesRead,
  }
}

/** Judges the bytes of `source`; see {@link inspectGguf}. */
export async function judge(source: ByteSource, signal?: AbortSignal): Promise<GgufVerdict> {
  const { length } = source
  if (length === 0) return { kind: 'incomplete', reason: 'empty (0 bytes)', length }
  try {
    const header = await readGgufHeader(source, signal)
    const minimumLength = minimumLengthOf(header)
    if (length < minimumLength) return tooShort(length, minimumLength)
    const unknown = header.tensors.find((tensor) => tensor.byteLength === null)
    if (unknown === undefined) return { kind: 'whole', header, minimumLength }
    const reason =
      `tensor ${quoted(unknown.name)} is of type ${grouped(unknown.type)}, whose size is not known here; ` +
      'whether the file is whole cannot be told'
    return { kind: 'undecidable', header, reason }
  } catch (error) {
    if (error instanceof HeaderRejected) return { kind: 'invalid', code: error.code, reason: error.message }
    if (error instanceof HeaderCut) return tooShort(length, error.neededLength)
    if (error instanceof FileShrank) return shrank(length)
    throw error
  }
}

/**
 * Where the last tensor of known size ends: writers pad it, loaders do not need the padding. Offsets never fall,
 * so no tensor before the last can end later.
 */
function minimumLengthOf({ dataStart, tensors }: GgufHeader): number {
  const last = tensors.at(-1)
  return last === undefined ? dataStart : dataStart + last.offset + (last.byteLength ?? 0)
}

function tooShort(length: number, minimumLength: number): GgufVerdict {
  const reason = `has ${grouped(length)} of at least ${grouped(minimumLength)} bytes; still being copied, or cut short`
  return { kind: 'incomplete', reason, length, minimumLength }
}

function shrank(length: number): GgufVerdict {
  return { kind: 'incomplete', reason: 'became shorter while it was read; still being changed', length }
}
