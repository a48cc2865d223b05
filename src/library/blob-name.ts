/**
 * Stores that name a file by its content: Hugging Face's cache (`blobs/<sha256>`, with links to it under the file's
 * own name) and Ollama's (`blobs/sha256-<sha256>`). Such a name is a promise that the hash of the file must keep.
 */
import { realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

const BLOBS_FOLDER = 'blobs'

/** Small files of Hugging Face that are not in LFS have 40 digits, a Git hash: no GGUF file is one of those. */
const HUGGING_FACE_BLOB = /^[0-9a-f]{64}$/
const OLLAMA_BLOB = /^sha256-([0-9a-f]{64})$/

/** The SHA-256 that a blob of Ollama is named by; null for any other path, unfinished downloads among them. */
export function ollamaDigestOf(path: string): string | null {
  if (basename(dirname(path)) !== BLOBS_FOLDER) return null
  return OLLAMA_BLOB.exec(basename(path))?.[1] ?? null
}

/** The SHA-256 that the file at `path`, or the blob that it links to, is named by; null when it is named otherwise. */
export async function promisedSha256(path: string): Promise<string | null> {
  const real = await realpath(path).catch(() => path)
  const name = basename(real)
  const isHuggingFace = basename(dirname(real)) === BLOBS_FOLDER && HUGGING_FACE_BLOB.test(name)
  return isHuggingFace ? name : ollamaDigestOf(real)
}

/** Said of a file that does not keep the promise of its name. */
export function brokenPromise(
  promised: string,
  sha256: string,
): { readonly code: string; readonly reason: string } {
  return {
    code: 'sha256-mismatch',
    reason:
      `its SHA-256 is ${sha256}, and the cache it lies in names it ${promised}: it is damaged; ` +
      'delete it there and download it again',
  }
}
