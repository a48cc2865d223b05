/**
 * The rows of the matrix, top to bottom: which models and shards are shown, in which order. Pure.
 *
 * A split set has a row of its own with its shards beneath; a model that is a single file has one row.
 *
 * @import { ShardRow } from '../feed.ts'
 * @import { ModelStatus } from '../../fleet/status.ts'
 * @import { FleetState } from './state.js'
 */
import { counted, formatCount } from './format.js'
import { modelKey } from './state.js'

/**
 * @typedef {{ readonly kind: 'model', readonly key: string, readonly model: ModelStatus,
 *   readonly shards: readonly ShardRow[], readonly collapsed: boolean }} ModelRow
 * @typedef {{ readonly kind: 'shard', readonly key: string, readonly model: ModelStatus, readonly shard: ShardRow,
 *   readonly isWeakest: boolean, readonly isSingle: boolean }} ShardLine
 * @typedef {{ readonly kind: 'missing', readonly key: string, readonly model: ModelStatus,
 *   readonly number: number }} MissingLine
 * @typedef {ModelRow | ShardLine | MissingLine} Row
 * @typedef {'name' | 'seeds'} Sort
 * @typedef {object} View
 * @property {string} filter
 * @property {Sort} sort
 * @property {ReadonlySet<string>} collapsed models whose shards are hidden, by {@link modelKey}
 */

/** Pixels, as in matrix.css. */
const MODEL_HEIGHT = 48
const SHARD_HEIGHT = 34

/** @param {Row} row */
export const heightOf = (row) =>
  row.kind === 'model' || (row.kind === 'shard' && row.isSingle) ? MODEL_HEIGHT : SHARD_HEIGHT

/**
 * `4 of 4 shards, weakest has 2 seeds`
 * @param {ModelStatus} model
 */
export function summaryOf({ count, missing, weakestSeeds, ambiguous }) {
  const shards = `${formatCount(count - missing.length)} of ${counted(count, 'shard')}`
  return `${shards}, weakest has ${counted(weakestSeeds, 'seed')}${ambiguous ? '; several contents under one name' : ''}`
}

/**
 * @param {Pick<FleetState, 'models' | 'shardsByModel' | 'shardByHash'>} fleet
 * @param {View} view
 * @returns {readonly Row[]}
 */
export function rowsOf({ models, shardsByModel, shardByHash }, { filter, sort, collapsed }) {
  const wanted = filter.trim().toLowerCase()
  /** @type {Row[]} */
  const rows = []
  const ordered = sort === 'seeds' ? [...models].sort((a, b) => a.weakestSeeds - b.weakestSeeds) : models
  for (const model of ordered) {
    const modelId = modelKey(model.name, model.count)
    // Sets that claim too many places are taken apart: their shards still name them, their models are the files.
    const shards =
      shardsByModel.get(modelId) ?? model.shards.flat().flatMap((infoHash) => shardByHash.get(infoHash) ?? [])
    const isMatch = matches(model.name, wanted)
    const shown = isMatch
      ? shards
      : shards.filter(({ name, infoHash }) => matches(name, wanted) || matches(infoHash, wanted))
    if (!isMatch && shown.length === 0) continue
    const [only] = shards
    if (model.count === 1 && shards.length === 1 && only !== undefined) {
      rows.push({
        kind: 'shard',
        key: `s ${only.infoHash}`,
        model,
        shard: only,
        isWeakest: false,
        isSingle: true,
      })
      continue
    }
    // A filter that names a shard shows it.
    const isCollapsed = collapsed.has(modelId) && (isMatch || wanted === '')
    rows.push({ kind: 'model', key: `m ${modelId}`, model, shards, collapsed: isCollapsed })
    if (isCollapsed) continue
    const lines = shown.map((shard) => shardLine(model, shard, shards))
    if (sort === 'seeds') lines.sort((a, b) => a.shard.wholeSeeds - b.shard.wholeSeeds)
    if (!isMatch) rows.push(...lines)
    else rows.push(...withMissing(model, lines, sort))
  }
  return rows
}

/**
 * The rows, each that is as it was being the same object as before, so that it is not drawn again.
 * @param {readonly Row[]} before
 * @param {readonly Row[]} after
 * @returns {readonly Row[]}
 */
export function keepSame(before, after) {
  const known = new Map(before.map((row) => [row.key, row]))
  return after.map((row) => {
    const old = known.get(row.key)
    return old !== undefined && isSame(old, row) ? old : row
  })
}

/**
 * @param {Row} a
 * @param {Row} b
 */
function isSame(a, b) {
  if (a.kind !== b.kind || a.model !== b.model) return false
  if (a.kind === 'model' && b.kind === 'model') return a.shards === b.shards && a.collapsed === b.collapsed
  if (a.kind === 'shard' && b.kind === 'shard')
    return a.shard === b.shard && a.isWeakest === b.isWeakest && a.isSingle === b.isSingle
  return true
}

/**
 * @param {string} text
 * @param {string} wanted lower case
 */
const matches = (text, wanted) => wanted === '' || text.toLowerCase().includes(wanted)

/**
 * @param {ModelStatus} model
 * @param {ShardRow} shard
 * @param {readonly ShardRow[]} shards
 * @returns {ShardLine}
 */
function shardLine(model, shard, shards) {
  // Where all have the same there is no weakest.
  const isWeakest =
    shard.wholeSeeds === model.weakestSeeds && shards.some((other) => other.wholeSeeds > shard.wholeSeeds)
  return { kind: 'shard', key: `s ${shard.infoHash}`, model, shard, isWeakest, isSingle: false }
}

/**
 * The shards that no host has, at their place in the set; first where the fewest seeds come first.
 * @param {ModelStatus} model
 * @param {readonly ShardLine[]} lines
 * @param {Sort} sort
 * @returns {readonly Row[]}
 */
function withMissing(model, lines, sort) {
  /** @type {MissingLine[]} */
  const missing = []
  const known = new Set(lines.map(({ shard }) => shard.number))
  for (const number of model.missing) {
    const key = `x ${number} ${modelKey(model.name, model.count)}`
    if (!known.has(number)) missing.push({ kind: 'missing', key, model, number })
  }
  if (missing.length === 0) return lines
  if (sort === 'seeds') return [...missing, ...lines]
  const numberOf = (/** @type {Row} */ row) =>
    row.kind === 'missing' ? row.number : row.kind === 'shard' ? row.shard.number : 0
  return [...lines, ...missing].sort((a, b) => numberOf(a) - numberOf(b))
}
