/**
 * Names and infohashes of the fleets that were looked at, kept in the user's cache folder for the tab key: see
 * manual/completion. A help, nothing more: what cannot be kept is not.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { FleetKey } from '../fleet/membership/fleet-key.ts'
import { rendezvousOf } from '../fleet/membership/fleet-key.ts'
import { writeFileAtomic } from '../library/atomic-file.ts'
import { formatBytes } from '../log.ts'
import { NAMES_FOLDER } from '../manual/completion/kit.ts'

/** Ten thousand words are 1 MB, which a shell reads in the time of a key press. */
const MAX_NAMES = 5_000
/** Fleets of one user; the one looked at longest ago goes first. */
const MAX_FLEETS = 16
/** Names come from peers, and shells read them: what could mean anything else to a shell is left out. */
const SAFE_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._+=@-]{0,254}$/u

/** What is kept of a shard. */
export interface KnownShard {
  readonly infoHash: string
  readonly name: string
  readonly length: number
  /** The name of its model. */
  readonly model: string
}

/** Remembers what a fleet has. Never throws. */
export async function rememberNames(key: FleetKey, shards: readonly KnownShard[]): Promise<void> {
  if (shards.length === 0) return // a fleet that was not met is no news of it
  const folder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), NAMES_FOLDER)
  try {
    await mkdir(folder, { recursive: true })
    await writeFileAtomic(join(folder, rendezvousOf(key)), namesText(shards), { sync: false })
    await forgetOldest(folder)
  } catch {
    // no such folder, or not ours: the next tab completes options and files
  }
}

/** A line for each model of several shards, each shard and each infohash. Pure. */
export function namesText(shards: readonly KnownShard[]): string {
  const kept = shards.slice(0, MAX_NAMES)
  const lines = new Map<string, string>()
  const models = Map.groupBy(kept, ({ model }) => model)
  for (const [model, its] of models) {
    const length = its.reduce((sum, shard) => sum + shard.length, 0)
    lines.set(model, `model, ${its.length} shard${its.length === 1 ? '' : 's'}, ${formatBytes(length)}`)
  }
  for (const { name, length } of kept) lines.set(name, `shard, ${formatBytes(length)}`)
  for (const { infoHash, name } of kept) if (SAFE_NAME.test(name)) lines.set(infoHash, name)
  return [...lines]
    .filter(([word]) => SAFE_NAME.test(word))
    .map(([word, what]) => `${word}\t${what}\n`)
    .join('')
}

async function forgetOldest(folder: string): Promise<void> {
  const names = await readdir(folder)
  if (names.length <= MAX_FLEETS) return
  const ages = await Promise.all(
    names.map(async (name) => ({ path: join(folder, name), at: (await stat(join(folder, name))).mtimeMs })),
  )
  const oldest = ages.sort((a, b) => a.at - b.at).slice(0, -MAX_FLEETS)
  await Promise.all(oldest.map(({ path }) => rm(path, { force: true })))
}
