/**
 * Ollama's store: `blobs/sha256-<hex>` holds the files, `manifests/<registry>/<namespace>/<model>/<tag>` says which
 * of them is a model, and what it is called.
 */
import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, systemCode } from '../errors.ts'
import { MAX_NAME_BYTES } from '../metainfo/file-name.ts'
import { isHiddenName } from './shard-name.ts'

export const MANIFESTS_FOLDER = 'manifests'
const BLOBS_FOLDER = 'blobs'

/** Registry, namespace, model and tag. */
const MANIFEST_DEPTH = 4

/** Tags of one store; somebody with all of Ollama's library has some thousand. */
const MAX_MANIFESTS = 10_000

/** A manifest lists a handful of layers and has some hundred bytes; one of a model in many tensors has more. */
const MAX_MANIFEST_BYTES = 1_000_000

const MODEL_LAYER = /^application\/vnd\.ollama\.image\.model(?:;|$)/
const DIGEST = /^sha256:([0-9a-f]{64})$/

const OWN_REGISTRY = 'registry.ollama.ai'
const OWN_NAMESPACE = 'library'
const HUGGING_FACE = /^(?:hf\.co|huggingface\.co)$/
const DEFAULT_TAG = 'latest'
const EXTENSION = '.gguf'

/** A model in a store, under the name its torrent gets. */
export interface OllamaModel {
  /** Of the blob. */
  readonly path: string
  readonly name: string
}

/** Whether a folder with these entries is a store. */
export function isOllamaStore(names: ReadonlySet<string>): boolean {
  return names.has(MANIFESTS_FOLDER) && names.has(BLOBS_FOLDER)
}

/** The models of the store at `folder`, each blob once. */
export async function listOllama(
  folder: string,
  warn: (line: string) => void,
): Promise<readonly OllamaModel[]> {
  const names = new Map<string, string[]>()
  for (const parts of await manifestsOf(join(folder, MANIFESTS_FOLDER), warn)) {
    const digests = await modelDigests(join(folder, MANIFESTS_FOLDER, ...parts), warn)
    for (const [index, digest] of digests.entries()) {
      names.set(digest, [...(names.get(digest) ?? []), ollamaFileName(parts, index)])
    }
  }
  return [...names].map(([digest, candidates]) => ({
    path: join(folder, BLOBS_FOLDER, `sha256-${digest}`),
    name: bestOf(candidates),
  }))
}

/**
 * The file name of a model: `llama3.2:3b` is `llama3.2-3b.gguf`. What Ollama took from Hugging Face gets the name that
 * most publishers give the file there, so that both are often the very same torrent.
 * @param parts registry, namespace, model and tag; @param index of the layer, where a manifest has several
 */
export function ollamaFileName(parts: readonly string[], index = 0): string {
  const [registry = '', namespace = '', model = '', tag = ''] = parts
  const number = index === 0 ? '' : `-${index + 1}`
  let stem = `${model}-${tag}`
  if (HUGGING_FACE.test(registry)) {
    // The tag may be the file's own name, too.
    stem = tag.toLowerCase().endsWith(EXTENSION)
      ? tag.slice(0, -EXTENSION.length)
      : `${model.replace(/-gguf$/i, '')}-${tag}`
  } else if (registry !== OWN_REGISTRY || namespace !== OWN_NAMESPACE) {
    stem = `${namespace}-${stem}`
  }
  const safe = stem.replace(/[^\p{L}\p{N}._+-]+/gu, '-').replace(/^[.-]+/, '')
  const room = MAX_NAME_BYTES - Buffer.byteLength(number + EXTENSION)
  let short = safe === '' ? 'model' : safe
  while (Buffer.byteLength(short) > room) short = [...short].slice(0, -1).join('')
  return short + number + EXTENSION
}

/** Of several tags of one model the one most hosts have: a named one before `latest`, then the shortest. */
function bestOf(names: readonly string[]): string {
  const isDefault = (name: string): boolean => name.endsWith(`-${DEFAULT_TAG}${EXTENSION}`)
  const [best = ''] = [...names].sort(
    (a, b) => Number(isDefault(a)) - Number(isDefault(b)) || a.length - b.length || (a < b ? -1 : 1),
  )
  return best
}

/** The parts of each manifest's path. */
async function manifestsOf(
  folder: string,
  warn: (line: string) => void,
): Promise<readonly (readonly string[])[]> {
  const found: (readonly string[])[] = []
  const folders: (readonly string[])[] = [[]]
  for (let parts = folders.pop(); parts !== undefined; parts = folders.pop()) {
    for (const entry of await entriesOf(join(folder, ...parts))) {
      if (isHiddenName(entry.name)) continue
      const path = [...parts, entry.name]
      if (entry.isDirectory() && path.length < MANIFEST_DEPTH) folders.push(path)
      else if (entry.isFile() && path.length === MANIFEST_DEPTH) found.push(path)
    }
    if (found.length > MAX_MANIFESTS) {
      warn(`${folder} holds more than ${MAX_MANIFESTS} manifests; only the first of them are looked at`)
      break
    }
  }
  return found.slice(0, MAX_MANIFESTS)
}

/** A folder that went while it was looked at is an empty one. */
const entriesOf = (folder: string): Promise<readonly Dirent[]> =>
  readdir(folder, { withFileTypes: true }).catch(() => [])

/** The SHA-256 of each layer that holds a model; none for a manifest that cannot be read. */
async function modelDigests(path: string, warn: (line: string) => void): Promise<readonly string[]> {
  try {
    const { size } = await stat(path)
    if (size > MAX_MANIFEST_BYTES) throw new Error(`it has ${size} bytes`)
    const { layers } = JSON.parse(await readFile(path, 'utf8')) as { readonly layers?: unknown }
    if (!Array.isArray(layers)) throw new Error('it lists no layers')
    return layers.flatMap((layer: { readonly mediaType?: unknown; readonly digest?: unknown } | null) => {
      if (!MODEL_LAYER.test(String(layer?.mediaType))) return []
      const [, digest] = DIGEST.exec(String(layer?.digest)) ?? []
      return digest === undefined ? [] : [digest]
    })
  } catch (error) {
    // Removed meanwhile: nothing to say. One that is being written is read again when that is over.
    if (systemCode(error) !== 'ENOENT') {
      warn(`${path} is no manifest of Ollama (${messageOf(error)}); its model is not seeded`)
    }
    return []
  }
}
