/** Lays out models as Hugging Face's cache and Ollama do, from the documented rules and without help from `src`. */
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeModel } from './gguf.ts'

export const COMMIT = 'a'.repeat(40)
export const OTHER_COMMIT = 'b'.repeat(40)

export interface StoredModel {
  readonly bytes: number
  readonly seed: number
}

async function madeModel(
  folder: string,
  { bytes, seed }: StoredModel,
): Promise<{ file: string; sha256: string }> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, '.making')
  await writeModel(file, { bytes, seed })
  return {
    file,
    sha256: createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
  }
}

/** A file in the hub's cache: the blob, a link to it for each commit, the ref. Gives the blob's path. */
export async function inHuggingFace(
  hub: string,
  model: StoredModel & {
    readonly repo: string
    readonly name: string
    readonly commits?: readonly string[]
    /** Another than its own, as after damage. */
    readonly sha256?: string
  },
): Promise<{ readonly blob: string; readonly sha256: string; readonly links: readonly string[] }> {
  const folder = join(hub, `models--${model.repo.replace('/', '--')}`)
  const { file, sha256 } = await madeModel(join(folder, 'blobs'), model)
  const blob = join(folder, 'blobs', model.sha256 ?? sha256)
  await rename(file, blob)
  const { commits = [COMMIT] } = model
  const links: string[] = []
  for (const commit of commits) {
    const link = join(folder, 'snapshots', commit, model.name)
    await mkdir(dirname(link), { recursive: true })
    const depth = 2 + model.name.split('/').length - 1
    await symlink(join('../'.repeat(depth), 'blobs', model.sha256 ?? sha256), link)
    links.push(link)
  }
  await mkdir(join(folder, 'refs'), { recursive: true })
  await writeFile(join(folder, 'refs', 'main'), commits.at(-1) ?? COMMIT)
  return { blob, sha256, links }
}

/** A model in Ollama's store under its tags, each `registry/namespace/model/tag`. Gives the blob's path. */
export async function inOllama(
  store: string,
  model: StoredModel & { readonly tags: readonly string[] },
): Promise<{ readonly blob: string; readonly sha256: string }> {
  const { file, sha256 } = await madeModel(join(store, 'blobs'), model)
  const blob = join(store, 'blobs', `sha256-${sha256}`)
  await rename(file, blob)
  for (const tag of model.tags) await tagInOllama(store, tag, sha256)
  return { blob, sha256 }
}

/** Writes a manifest as `ollama pull` does, with a template and a licence besides the model. */
export async function tagInOllama(store: string, tag: string, sha256: string): Promise<void> {
  const manifest = join(store, 'manifests', tag)
  await mkdir(dirname(manifest), { recursive: true })
  const other = createHash('sha256').update(tag).digest('hex')
  const layer = (kind: string, digest: string) => ({
    mediaType: `application/vnd.ollama.image.${kind}`,
    digest: `sha256:${digest}`,
    size: 1,
  })
  await writeFile(join(store, 'blobs', `sha256-${other}`), 'a template')
  await writeFile(
    manifest,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest: `sha256:${other}` },
      layers: [layer('model', sha256), layer('template', other), layer('license', other)],
    }),
  )
}
