/**
 * Says what a file is that does not begin with the magic: people save pointers, error pages and older formats
 * under `.gguf`, and each of them needs another remedy.
 */
import { HeaderRejected, quoted } from './problem.ts'

/** The first bytes of every GGUF file, in either byte order. */
export const MAGIC = Buffer.from('GGUF', 'latin1')

/** Enough to see past the white space that pages begin with. */
export const FOREIGN_PEEK_BYTES = 512

const LFS_POINTER = 'version https://git-lfs.github.com/spec/'

/** How pages begin once white space is gone; error pages of object stores are XML. */
const PAGE_BEGINNINGS = [
  ['<!doctype', 'an HTML page'],
  ['<html', 'an HTML page'],
  ['<head', 'an HTML page'],
  ['<body', 'an HTML page'],
  ['<!--', 'an HTML page'],
  ['<?xml', 'an XML page'],
] as const

/** Formats that came before GGUF, as their first four bytes stand in the file. */
const OLDER_FORMATS = new Set(['lmgg', 'fmgg', 'tjgg', 'algg'])

/** Why a file beginning with `bytes` (up to {@link FOREIGN_PEEK_BYTES} of it) is not GGUF. */
export function foreignFile(bytes: Buffer): HeaderRejected {
  const text = bytes.toString('latin1')
  if (text.startsWith(LFS_POINTER)) {
    return new HeaderRejected('lfs-pointer', 'a Git LFS pointer, not the file itself; run `git lfs pull`')
  }
  const beginning = text
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart()
    .toLowerCase()
  for (const [start, page] of PAGE_BEGINNINGS) {
    if (beginning.startsWith(start)) {
      return new HeaderRejected('html-page', `${page} saved as .gguf; download it again`)
    }
  }
  if (OLDER_FORMATS.has(text.slice(0, 4))) {
    return new HeaderRejected(
      'not-gguf',
      'a ggml file from before GGUF; convert it with the tools of llama.cpp',
    )
  }
  if (bytes.every((byte) => byte === 0)) {
    return new HeaderRejected(
      'not-gguf',
      'begins with zeros: space was reserved but the file is not written yet, or it is damaged',
    )
  }
  return new HeaderRejected(
    'not-gguf',
    `not a GGUF file: begins with ${quoted(text.slice(0, 16))} where "GGUF" should stand; download it again`,
  )
}
