/**
 * Which model a shard belongs to, and what a fleet's shards make together. Pure. File names, headers and offers
 * come from strangers: what is kept of them is short and printable, and what they claim takes bounded memory.
 */
import type { GgufHeader } from '../../gguf/header.ts'
import { parseShardName, SHARD_KEYS } from '../../gguf/shards.ts'
import { printable } from '../../log.ts'
import { nameProblem } from '../../metainfo/file-name.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { ModelStatus } from '../status.ts'

/** A shard's place: in a split set, or 1 of 1 for a file that is a model by itself. */
export interface ShardPlace {
  readonly model: string
  readonly number: number
  readonly count: number
  readonly architecture: string | null
  readonly sizeLabel: string | null
}

/** Architectures and size labels in use have under 20 characters (`deepseek2`, `8x7B`); longer ones are a prank. */
const MAX_LABEL_LENGTH = 32
/** llama.cpp writes the numbers of a set with five digits. */
const MAX_COUNT = 99_999
/**
 * Places of sets for which nobody has a shard, over all models: each takes memory in every snapshot, and one offer
 * can claim to be the first of 99,999.
 */
const MAX_EMPTY_PLACES = 100_000

/**
 * The place of a shard. The file name decides, because llama.cpp finds the other shards of a set by it and `get`
 * leaves it untouched; the header may veto:
 *
 * - `X-00002-of-00004.gguf` is shard 2 of 4 of `X`, unless its header says that it is another one. Then it is a file
 *   by itself: in that place it would make a set look whole that llama.cpp refuses to load.
 * - `X-1.gguf` whose header says that it is one of several, and which, belongs to the set `X`, when its number is the
 *   header's, counted from 0 or from 1 (`shard-0.gguf` … of the reference configuration).
 * - Every other file is a model by itself, named like the file without `.gguf`.
 *
 * The name of a model is as safe as a file name, given a safe file name.
 */
export function modelOf(fileName: string, header: GgufHeader | null): ShardPlace {
  const said = header === null ? null : splitOf(header)
  const place = byFullName(fileName, said) ?? byNumber(fileName, said)
  const { model, number, count } = place !== null && isSafe(place.model) ? place : byItself(fileName)
  const label = (key: string): string | null => labelOf(header?.metadata.get(key))
  return {
    model,
    number,
    count,
    architecture: label('general.architecture'),
    sizeLabel: label('general.size_label'),
  }
}

type Place = Pick<ShardPlace, 'model' | 'number' | 'count'>

/** What the header says of a set, in its own words: null for nothing. */
interface Said {
  readonly number: number | null
  readonly count: number | null
}

function splitOf({ metadata }: GgufHeader): Said | null {
  if (!metadata.has(SHARD_KEYS.no) && !metadata.has(SHARD_KEYS.count)) return null
  const whole = (key: string): number | null => {
    const value = metadata.get(key)
    return typeof value === 'number' && Number.isSafeInteger(value) ? value : null
  }
  const [no, count] = [whole(SHARD_KEYS.no), whole(SHARD_KEYS.count)]
  // llama.cpp's merge leaves "0 of 0" in the file it makes: a set of one.
  if (no === 0 && count === 0) return { number: 1, count: 1 }
  return { number: no === null ? null : no + 1, count }
}

function byFullName(fileName: string, said: Said | null): Place | null {
  const name = parseShardName(fileName)
  if (name === null) return null
  const { prefix: model, number, count } = name
  return said === null || (said.number === number && said.count === count) ? { model, number, count } : null
}

function byNumber(fileName: string, said: Said | null): Place | null {
  const [, model, digits] = /^(.*[^-_. ])[-_. ](\d{1,5})\.gguf$/is.exec(fileName) ?? []
  if (model === undefined || said === null) return null
  const { number, count } = said
  if (number === null || count === null || count < 2 || count > MAX_COUNT) return null
  const isOne = number >= 1 && number <= count
  const named = Number(digits)
  return isOne && (named === number || named === number - 1) ? { model, number, count } : null
}

function byItself(fileName: string): Place {
  const bare = fileName.replace(/\.gguf$/i, '')
  return { model: isSafe(bare) ? bare : fileName, number: 1, count: 1 }
}

const isSafe = (name: string): boolean => nameProblem(name) === undefined && !name.startsWith('.')

/** A short text of the header, or null: one that is not fit to be shown says nothing. */
function labelOf(value: unknown): string | null {
  if (typeof value !== 'string') return null
  const text = value.trim()
  const isFit = text !== '' && text.length <= MAX_LABEL_LENGTH && text.isWellFormed()
  return isFit && printable(text) === text ? text : null
}

/** What {@link groupModels} looks at; a `ShardStatus` will do. */
export interface ModelShard {
  readonly infoHash: InfoHash
  readonly name: string
  readonly length: number
  readonly model: string
  readonly number: number
  readonly count: number
  readonly wholeSeeds: number
  readonly architecture?: string | null
  readonly sizeLabel?: string | null
}

/**
 * The models that `shards` (each infohash once) make, sorted by name. Sets of different sizes under one name are
 * different models, and both ambiguous. A model that is as it was in `previous` is the same object, and the list is
 * the same when all are.
 */
export function groupModels(
  shards: readonly ModelShard[],
  previous: readonly ModelStatus[] = [],
): readonly ModelStatus[] {
  const sets = affordable(setsOf(shards))
  const sizes = new Map<string, number>()
  for (const { name } of sets) sizes.set(name, (sizes.get(name) ?? 0) + 1)
  const known = new Map(previous.map((model) => [keyOf(model.name, model.count), model]))
  const models = sets
    .map((set) => {
      const model = modelStatus(set, sizes.get(set.name)! > 1)
      const before = known.get(keyOf(model.name, model.count))
      return before !== undefined && isEqual(before, model) ? before : model
    })
    .sort((a, b) => compare(a.name, b.name) || a.count - b.count)
  const isSame = models.length === previous.length && models.every((model, at) => model === previous[at])
  return isSame ? previous : models
}

interface ShardSet {
  readonly name: string
  readonly count: number
  readonly places: ReadonlyMap<number, readonly ModelShard[]>
}

const keyOf = (name: string, count: number): string => `${count} ${name}`

/** Plain order of UTF-16 units: the same on every machine, and quick over 100,000 names. */
export function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function setsOf(shards: readonly ModelShard[]): ShardSet[] {
  const sets = new Map<string, { name: string; count: number; places: Map<number, ModelShard[]> }>()
  for (const shard of shards) {
    const { model: name, number, count } = shard
    const key = keyOf(name, count)
    let set = sets.get(key)
    if (set === undefined) {
      set = { name, count, places: new Map() }
      sets.set(key, set)
    }
    const place = set.places.get(number)
    if (place === undefined) set.places.set(number, [shard])
    else place.push(shard)
  }
  return [...sets.values()]
}

/** Sets that claim more places than can be kept are taken apart into the files they are; the emptiest go first. */
function affordable(sets: readonly ShardSet[]): readonly ShardSet[] {
  const empty = ({ count, places }: ShardSet): number => count - places.size
  let left = MAX_EMPTY_PLACES
  if (sets.reduce((sum, set) => sum + empty(set), 0) <= left) return sets
  const kept: ShardSet[] = []
  const apart: ModelShard[] = []
  for (const set of [...sets].sort((a, b) => empty(a) - empty(b))) {
    left -= empty(set)
    if (left >= 0) kept.push(set)
    else for (const contents of set.places.values()) apart.push(...contents)
  }
  // Together, not set by set: a file by itself may bear the name of another model.
  const singles = kept.filter(({ count }) => count === 1).flatMap(({ places }) => [...places.values()].flat())
  const files = apart.map((shard) => ({ ...shard, ...byItself(shard.name) }))
  return [...kept.filter(({ count }) => count > 1), ...setsOf([...singles, ...files])]
}

/** No place holds anything in most sets of a hostile offer: they share this one. */
const NOTHING: readonly InfoHash[] = Object.freeze([])

function modelStatus({ name, count, places }: ShardSet, isShared: boolean): ModelStatus {
  const missing: number[] = []
  const shards: (readonly InfoHash[])[] = []
  let length = 0
  let weakestSeeds = Number.POSITIVE_INFINITY
  let weakest: InfoHash | null = null
  let ambiguous = isShared
  for (let number = 1; number <= count; number++) {
    const contents = [...(places.get(number) ?? [])].sort((a, b) => compare(a.infoHash, b.infoHash))
    // Of several contents the one with most seeds is likely the one that is wanted; `ambiguous` says the rest.
    const best = contents.reduce<ModelShard | null>(
      (chosen, shard) => (chosen === null || shard.wholeSeeds > chosen.wholeSeeds ? shard : chosen),
      null,
    )
    shards.push(contents.length === 0 ? NOTHING : contents.map(({ infoHash }) => infoHash))
    if (contents.length > 1) ambiguous = true
    const seeds = best?.wholeSeeds ?? 0
    if (seeds === 0) missing.push(number)
    length += best?.length ?? 0
    if (seeds < weakestSeeds) {
      weakestSeeds = seeds
      weakest = best?.infoHash ?? null
    }
  }
  const all = [...places.entries()].sort(([a], [b]) => a - b).flatMap(([, contents]) => contents)
  return {
    name,
    architecture: firstOf(all, 'architecture'),
    sizeLabel: firstOf(all, 'sizeLabel'),
    count,
    shards,
    missing,
    length,
    weakestSeeds,
    weakest,
    ambiguous,
  }
}

/** Only the first shard of a set has the metadata of the whole. */
function firstOf(shards: readonly ModelShard[], key: 'architecture' | 'sizeLabel'): string | null {
  for (const shard of shards) if (shard[key] != null) return shard[key]
  return null
}

function isEqual(a: ModelStatus, b: ModelStatus): boolean {
  const isSame = <T>(left: readonly T[], right: readonly T[]): boolean =>
    left.length === right.length && left.every((item, at) => item === right[at])
  return (Object.keys(a) as (keyof ModelStatus)[]).every((key) => {
    if (key === 'missing') return isSame(a.missing, b.missing)
    if (key !== 'shards') return a[key] === b[key]
    return a.shards.length === b.shards.length && a.shards.every((place, at) => isSame(place, b.shards[at]!))
  })
}
