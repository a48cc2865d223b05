/**
 * Names and infohashes of the fleets that were looked at, kept in the user's cache folder for the tab key: see
 * manual/completion. A help, nothing more: what cannot be kept is not.
 */
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { SeedEvent } from '../fleet/events.ts'
import { type FleetKey, rendezvousOf } from '../fleet/membership/fleet-key.ts'
import type { KnownHost } from '../fleet/membership/fleet-member.ts'
import { modelOf } from '../fleet/names/models.ts'
import { writeFileAtomic } from '../library/atomic-file.ts'
import { formatBytes } from '../log.ts'
import { NAMES_FOLDER } from '../manual/completion/kit.ts'

/** Ten thousand words are 1 MB, which a shell reads in the time of a key press. */
const MAX_NAMES = 5_000
/** A name, an infohash and a model for each. */
const MAX_LINES = 3 * MAX_NAMES
/** Fleets of one user; the one looked at longest ago goes first. */
const MAX_FLEETS = 16
/** Names come from peers, and shells read them: what could mean anything else to a shell is left out. */
const SAFE_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._+=@-]{0,254}$/u
/** A home folder on a network that hangs must not keep a command from its end. */
const PATIENCE_MS = 1_000
/** Long enough to meet a fleet, so that no half of it takes the place of the whole; short enough to find what is new. */
const KEEP_MS = 15_000

/** What is kept of a shard. */
export interface KnownShard {
  readonly infoHash: string
  readonly name: string
  readonly length: number
  /** The name of its model. */
  readonly model: string
}

/** Remembers what a fleet has, and nothing that was known of it before. Never throws, and takes a second at most. */
export async function rememberNames(key: FleetKey, shards: readonly KnownShard[]): Promise<void> {
  const kept = keep(key, namesText(shards), false)
  await Promise.race([kept, delay(PATIENCE_MS, undefined, { ref: false })])
}

/**
 * Remembers what `shards` gives for as long as a command goes on, when it has changed. With `isPart` it is not all that
 * the fleet has: what was known before stays.
 */
export function keepNames(
  key: FleetKey,
  shards: () => readonly KnownShard[],
  { isPart }: { readonly isPart: boolean },
): Disposable {
  let told = ''
  let isKeeping = false
  const timer = setInterval(async () => {
    if (isKeeping) return
    const text = namesText(shards())
    if (text === told) return
    isKeeping = true
    told = text
    await keep(key, text, isPart)
    isKeeping = false
  }, KEEP_MS)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** The shards that a host knows: its own, and those of other hosts where it asks for them (`--replicate`). */
export class HostShards {
  /** By file: two may have one infohash. */
  readonly #own = new Map<string, KnownShard>()
  readonly #hosts = new Map<string, KnownHost>()

  onEvent(event: SeedEvent): void {
    if (event.event === 'withdrawn') this.#own.delete(event.file)
    if (event.event !== 'seeding') return
    const { file, infoHash, name, length } = event
    this.#own.set(file, { infoHash, name, length, model: modelOf(name, null).model })
  }

  onHost(host: KnownHost, change: 'online' | 'changed' | 'left' | 'lost' | 'forgotten'): void {
    const { hostId } = host.info
    if (change === 'left' || change === 'forgotten') this.#hosts.delete(hostId)
    else this.#hosts.set(hostId, host)
  }

  /** Each infohash once, and no more than are kept. */
  shards(): readonly KnownShard[] {
    const known = new Map<string, KnownShard>()
    for (const shards of [this.#own, ...[...this.#hosts.values()].map((host) => host.shards)]) {
      for (const shard of shards.values()) {
        if (known.size === MAX_NAMES) return [...known.values()]
        if (!known.has(shard.infoHash)) known.set(shard.infoHash, shard)
      }
    }
    return [...known.values()]
  }
}

/** A line for each model, each shard and each infohash. Pure. */
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

/** Writes the file of a fleet. Never throws. */
async function keep(key: FleetKey, text: string, isPart: boolean): Promise<void> {
  if (text === '') return // a fleet that was not met is no news of it
  try {
    const folder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), NAMES_FOLDER)
    await mkdir(folder, { recursive: true })
    const path = join(folder, rendezvousOf(key))
    const before = isPart ? await readFile(path, 'utf8').catch(() => '') : ''
    await writeFileAtomic(path, merged(text, before), { sync: false })
    await forgetOldest(folder)
  } catch {
    // no such folder, or not ours: the next tab completes options and files
  }
}

/** What was known before, whose descriptions are those of whole models, and what is new; up to a limit. */
function merged(text: string, before: string): string {
  const lines = new Map<string, string>()
  for (const line of [before, text].flatMap((one) => one.split('\n'))) {
    const word = line.slice(0, line.indexOf('\t'))
    if (lines.size < MAX_LINES && SAFE_NAME.test(word) && !lines.has(word)) lines.set(word, line)
  }
  return [...lines.values()].map((line) => `${line}\n`).join('')
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
