/**
 * What a name stands for in a fleet: a shard, a model, or something a person has to decide. Pure, and nothing is
 * ever guessed: where two files share a name, both are named and none is chosen.
 */
import { formatShardName } from '../../gguf/shards.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { KnownHost } from '../membership/roster.ts'
import type { ModelStatus } from '../status.ts'
import { groupModels, type ModelShard } from './models.ts'

/** Names to choose from; more is a list nobody reads (`status` has them all). */
const MAX_NEAR = 5
/** Names compared with one that is not known: some 2 µs each. */
const MAX_COMPARED = 50_000
/** Half of the letter pairs in common: `Llama-3-8b` is near `llama-3.1-8B`, and far from `qwen2-7b`. */
const NEAR = 0.5

/** A shard as the hosts of a fleet tell of it. */
export interface FleetShard extends ModelShard {
  /** Every SHA-256 told; more than one means that somebody does not tell the truth. */
  readonly sha256s: readonly string[]
  /** HOST:PORT of the hosts online that have it whole; {@link ModelShard.wholeSeeds} counts them. */
  readonly addresses: readonly string[]
  /** A host that is online offers it, whole or in part. */
  readonly isOffered: boolean
}

/** A shard of which no host online has a whole copy; `name` is null where it cannot be known. */
export interface MissingShard {
  readonly number: number
  readonly name: string | null
}

/** What a name stands for. */
export type Resolution =
  | { readonly kind: 'shard'; readonly shard: FleetShard }
  | { readonly kind: 'model'; readonly model: ModelStatus; readonly shards: readonly FleetShard[] }
  /** Different contents, or different SHA-256 told of one. */
  | {
      readonly kind: 'ambiguous'
      readonly what: 'shard' | 'model'
      readonly candidates: readonly FleetShard[]
    }
  | { readonly kind: 'incomplete'; readonly count: number; readonly missing: readonly MissingShard[] }
  | { readonly kind: 'unknown'; readonly near: readonly string[]; readonly known: number }

/** The shards of all hosts, each infohash once. */
export function shardsOf(hosts: readonly KnownHost[]): readonly FleetShard[] {
  const found = new Map<InfoHash, { shard: FleetShard; isWhole: boolean; sha256s: Set<string> }>()
  // Who is lost is heard too, after all others: what only it had is missing, not unknown.
  const byState = [...hosts].sort((a, b) => Number(a.state === 'lost') - Number(b.state === 'lost'))
  for (const { shards, state, address } of byState) {
    for (const offer of shards.values()) {
      const isWhole = offer.state === 'seeding'
      const isOnline = state === 'online'
      const known = found.get(offer.infoHash)
      const sha256s = known?.sha256s ?? new Set()
      if (isOnline || known === undefined) sha256s.add(offer.sha256)
      const addresses = [...(known?.shard.addresses ?? []), ...(isOnline && isWhole ? [address] : [])]
      const { infoHash, name, length, model, number, count } = offer
      // Who has it whole knows its header.
      const facts =
        known !== undefined && (known.isWhole || !isWhole)
          ? known.shard
          : { infoHash, name, length, model, number, count }
      const shard: FleetShard = {
        ...facts,
        sha256s: [...sha256s],
        addresses,
        wholeSeeds: addresses.length,
        isOffered: isOnline || known?.shard.isOffered === true,
      }
      found.set(infoHash, { shard, sha256s, isWhole: isWhole || known?.isWhole === true })
    }
  }
  return [...found.values()].map(({ shard }) => shard)
}

/**
 * Looks for a shard of this file name, then for a model of this name, then for the shard `name.gguf`. What is
 * offered by hosts online comes first; what only lost hosts had is found too, as incomplete.
 */
export function resolveName(name: string, shards: readonly FleetShard[]): Resolution {
  const offered = shards.filter(({ isOffered }) => isOffered)
  return find(name, offered) ?? find(name, shards) ?? unknown(name, shards)
}

function find(name: string, shards: readonly FleetShard[]): Resolution | null {
  return findShard(name, shards) ?? findModel(name, shards) ?? findShard(`${name}.gguf`, shards)
}

/** macOS and Linux write an `ö` with different code points; people see the same name. */
const isSameName = (a: string, b: string): boolean => a === b || a.normalize('NFC') === b.normalize('NFC')

function findShard(name: string, shards: readonly FleetShard[]): Resolution | null {
  const named = shards.filter((shard) => isSameName(shard.name, name))
  const [shard] = named
  if (shard === undefined) return null
  if (named.length > 1 || shard.sha256s.length > 1)
    return { kind: 'ambiguous', what: 'shard', candidates: sorted(named) }
  if (shard.wholeSeeds > 0) return { kind: 'shard', shard }
  const { number, count } = shard
  return { kind: 'incomplete', count, missing: [{ number, name: shard.name }] }
}

function findModel(name: string, shards: readonly FleetShard[]): Resolution | null {
  const members = shards.filter(({ model }) => isSameName(model, name))
  if (members.length === 0) return null
  const models = groupModels(members)
  const [model] = models
  if (model === undefined || models.length > 1) {
    return { kind: 'ambiguous', what: 'model', candidates: sorted(members) }
  }
  const inPlace = new Map<number, FleetShard[]>()
  for (const shard of members) inPlace.set(shard.number, [...(inPlace.get(shard.number) ?? []), shard])
  const contested = members.filter(
    ({ number, sha256s }) => inPlace.get(number)!.length > 1 || sha256s.length > 1,
  )
  if (contested.length > 0) return { kind: 'ambiguous', what: 'model', candidates: sorted(contested) }
  if (model.missing.length > 0) {
    const missing = model.missing.map((number) => ({
      number,
      name: inPlace.get(number)?.[0]?.name ?? nameInSet(model, number, members),
    }))
    return { kind: 'incomplete', count: model.count, missing }
  }
  return { kind: 'model', model, shards: sorted(members) }
}

/** The name of a shard nobody has, where the others show how the set is named. */
function nameInSet(
  { name: prefix, count }: ModelStatus,
  number: number,
  others: readonly FleetShard[],
): string | null {
  const follows = others.every(
    (shard) => shard.name === formatShardName({ prefix, number: shard.number, count }),
  )
  return follows ? formatShardName({ prefix, number, count }) : null
}

const sorted = (shards: readonly FleetShard[]): readonly FleetShard[] =>
  [...shards].sort((a, b) => a.count - b.count || a.number - b.number || (a.infoHash < b.infoHash ? -1 : 1))

/** Models come first: the shards of one that is near would fill the list with the same name. */
function unknown(name: string, shards: readonly FleetShard[]): Resolution {
  const models = new Set(shards.map(({ model }) => model))
  const files = new Set(shards.map((shard) => shard.name))
  const [first, second] = /\.gguf$/i.test(name) ? [files, models] : [models, files]
  const near = nearNames(name, first)
  return {
    kind: 'unknown',
    near: near.length > 0 ? near : nearNames(name, second),
    known: new Set([...models, ...files]).size,
  }
}

/** Names that look like `name`, the nearest first; those that contain it count as near. */
export function nearNames(name: string, names: Iterable<string>): readonly string[] {
  const wanted = plain(name)
  if (wanted === '') return []
  const pairs = pairsOf(wanted)
  const near: { readonly candidate: string; readonly likeness: number }[] = []
  let compared = 0
  for (const candidate of names) {
    if (++compared > MAX_COMPARED) break
    const other = plain(candidate)
    const likeness = likenessOf(pairs, pairsOf(other)) + (other.includes(wanted) ? 1 : 0)
    if (likeness >= NEAR) near.push({ candidate, likeness })
  }
  return near
    .sort((a, b) => b.likeness - a.likeness || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, MAX_NEAR)
    .map(({ candidate }) => candidate)
}

/** Case, separators and the extension are what people get wrong. */
function plain(name: string): string {
  return name
    .normalize('NFC')
    .toLowerCase()
    .replace(/\.gguf$/, '')
    .replace(/[-_. ]+/g, '')
}

function pairsOf(text: string): ReadonlyMap<string, number> {
  const pairs = new Map<string, number>()
  for (let at = 0; at < Math.max(1, text.length - 1); at++) {
    const pair = text.slice(at, at + 2)
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
  }
  return pairs
}

/** Sørensen and Dice: the share of letter pairs two texts have in common, 0 to 1. */
function likenessOf(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number {
  let [shared, all] = [0, 0]
  for (const [pair, times] of a) {
    shared += Math.min(times, b.get(pair) ?? 0)
    all += times
  }
  for (const times of b.values()) all += times
  return (2 * shared) / all
}
