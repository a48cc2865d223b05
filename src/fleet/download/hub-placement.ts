/**
 * Puts a download into the cache that Hugging Face's tools share, where they look before they fetch anything:
 *
 *   models--<org>--<name>/blobs/<sha256>                the file
 *   models--<org>--<name>/snapshots/<commit>/<file>     a link to it, which is the path everybody uses
 *   models--<org>--<name>/refs/<revision>               the commit that `main`, or another revision, stands for
 *
 * The rules: huggingface_hub, "Understand caching", https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
import { createHash } from 'node:crypto'
import { link, mkdir, readFile, readlink, rename, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { asDiskError, systemCode, UsageError } from '../../errors.ts'
import { parseShardName } from '../../gguf/shards.ts'
import { writeFileAtomic } from '../../library/atomic-file.ts'
import type { Partial } from './partial.ts'
import type { Placement } from './placement.ts'

/** Who the repositories of files belong to whose publisher is not known. */
const NO_ORGANISATION = 'gguf-swarm'

/** Hugging Face's own limit for the name of a repository. */
const MAX_REPO_NAME = 96
const REPO_PART = /^[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?$/
const COMMIT = /^[0-9a-f]{40}$/
/** What Git allows in a name, minus all that means something to a file system or a shell. */
const REVISION = /^[\w.-]+(?:\/[\w.-]+)*$/

/** No link can be made: Windows without developer mode, FAT. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'UNKNOWN'])

export interface HubOptions {
  /** The cache. */
  readonly hub: string
  /** `org/name`; null for one made from the model's name. */
  readonly repo: string | null
  /** A branch, a tag or a commit. */
  readonly revision: string
}

/** @throws {UsageError} `bad-repo` or `bad-revision` */
export function inHub({ hub, repo, revision }: HubOptions): Placement {
  if (repo !== null && !isRepo(repo)) {
    throw new UsageError(
      'bad-repo',
      `--hf-repo: '${repo}' is no repository of Hugging Face; write it as ORG/NAME`,
    )
  }
  if (!REVISION.test(revision) || revision.split('/').some((part) => /^\.+$/.test(part))) {
    throw new UsageError('bad-revision', `--hf-revision: '${revision}' is no branch, tag or commit`)
  }
  const folder = resolve(hub)
  const repoOf = (name: string): Repo => {
    const id = repo ?? `${NO_ORGANISATION}/${modelNameOf(name)}`
    return { id, folder: join(folder, `models--${id.replace('/', '--')}`), revision }
  }
  return {
    folder,
    pathOf: async (name) => pointerOf(repoOf(name), name),
    publish: (partial, name, sha256) => publish(repoOf(name), partial, name, sha256),
  }
}

interface Repo {
  readonly id: string
  readonly folder: string
  readonly revision: string
}

function isRepo(text: string): boolean {
  const parts = text.split('/')
  return parts.length === 2 && parts.every((part) => part.length <= MAX_REPO_NAME && isRepoPart(part))
}

/** Two dashes separate the parts of a folder's name. */
const isRepoPart = (part: string): boolean => REPO_PART.test(part) && !/--|\.\./.test(part)

/** A name for the repository of a file, or of the split model that it belongs to. */
function modelNameOf(fileName: string): string {
  const stem = parseShardName(fileName)?.prefix ?? fileName.replace(/\.gguf$/i, '')
  const plain = stem
    .replace(/[^\w.-]+/g, '-')
    .replace(/-{2,}/g, '-')
    .replace(/\.{2,}/g, '.')
  const cut = plain.slice(0, MAX_REPO_NAME).replace(/^[.-]+|[.-]+$/g, '')
  return cut === '' ? 'model' : cut
}

/** The commit that the revision stands for here. */
async function commitOf({ id, folder, revision }: Repo): Promise<string> {
  if (COMMIT.test(revision)) return revision
  const known = await readFile(refOf(folder, revision), 'utf8').catch(() => '')
  if (COMMIT.test(known.trim())) return known.trim()
  // Nobody has told which commit: one of our own, the same for every file of the repository. When a tool asks the
  // hub later, it makes a snapshot of the real one, and finds the blob by its hash.
  return createHash('sha1').update(`gguf-swarm ${id}@${revision}`).digest('hex')
}

const refOf = (folder: string, revision: string): string => join(folder, 'refs', ...revision.split('/'))

async function pointerOf(repo: Repo, name: string): Promise<string> {
  return join(repo.folder, 'snapshots', await commitOf(repo), name)
}

async function publish(repo: Repo, partial: Partial, name: string, sha256: string): Promise<string> {
  const commit = await commitOf(repo)
  const pointer = join(repo.folder, 'snapshots', commit, name)
  const blob = join(repo.folder, 'blobs', sha256)
  try {
    for (const path of [pointer, blob]) await mkdir(dirname(path), { recursive: true })
    // What stood there, if anything, has the same hash or is damaged.
    await partial.publish(blob, { replace: true })
    await point(pointer, blob, join('..', '..', 'blobs', sha256))
    await keepRef(repo, commit)
  } catch (error) {
    throw asDiskError(error, pointer)
  }
  return pointer
}

async function point(pointer: string, blob: string, target: string): Promise<void> {
  try {
    await symlink(target, pointer)
  } catch (error) {
    if (systemCode(error) === 'EEXIST' && (await readlink(pointer).catch(() => '')) === target) return
    if (!NO_LINKS.has(systemCode(error))) throw error
    // As huggingface_hub does it: the file itself stands where the link would.
    await link(blob, pointer).catch(() => rename(blob, pointer))
  }
}

/** Last, as a ref to a snapshot that is not there is damage to other tools; one that is there is not changed. */
async function keepRef({ folder, revision }: Repo, commit: string): Promise<void> {
  if (COMMIT.test(revision)) return
  const ref = refOf(folder, revision)
  const known = await readFile(ref, 'utf8').catch(() => null)
  if (known !== null) return
  await mkdir(dirname(ref), { recursive: true })
  await writeFileAtomic(ref, commit, { mode: 0o644 })
}
