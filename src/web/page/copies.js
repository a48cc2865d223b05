/**
 * Who has what: the content of one cell of the matrix, looked up in rows that name hosts by number. Pure; what was
 * worked out for a row is kept as long as the row.
 *
 * @import { HostRow, ShardRow } from '../feed.ts'
 */
import { percent } from './format.js'

/**
 * @typedef {object} CellState
 * @property {'whole' | 'fetching' | 'none'} state
 * @property {string} text what is written in the cell; empty where the mark says it
 * @property {number} level from 0 to 1
 * @property {string} words for screen readers and the tooltip
 */

/** @type {WeakMap<ShardRow, ReadonlyMap<number, number>>} */
const bytesByHost = new WeakMap()

/** @param {ShardRow} shard */
function copiesOf(shard) {
  const known = bytesByHost.get(shard)
  if (known !== undefined) return known
  const bytes = new Map(shard.fetching)
  for (const n of shard.whole) bytes.set(n, Number.POSITIVE_INFINITY)
  bytesByHost.set(shard, bytes)
  return bytes
}

const NONE = /** @type {CellState} */ ({ state: 'none', text: '', level: 0, words: 'none' })
const WHOLE = /** @type {CellState} */ ({ state: 'whole', text: '', level: 1, words: 'whole copy' })

/**
 * @param {ShardRow} shard
 * @param {HostRow} host
 * @returns {CellState}
 */
export function shardCell(shard, host) {
  const bytes = copiesOf(shard).get(host.n)
  if (bytes === undefined) return NONE
  if (bytes === Number.POSITIVE_INFINITY) return WHOLE
  const done = percent(bytes, shard.length)
  return { state: 'fetching', text: `${done} %`, level: done / 100, words: `fetching, ${done} %` }
}

/** @typedef {{ whole: number, last: number }} Share of a model on one host: whole shards, and the number of the last */
/** @type {WeakMap<readonly ShardRow[], ReadonlyMap<number, Share>>} */
const sharesByHost = new WeakMap()

/** @param {readonly ShardRow[]} shards by number: of several contents of one number only the first counts */
function sharesOf(shards) {
  const known = sharesByHost.get(shards)
  if (known !== undefined) return known
  /** @type {Map<number, Share>} */
  const shares = new Map()
  const shareOf = (/** @type {number} */ n) => {
    const share = shares.get(n) ?? { whole: 0, last: 0 }
    shares.set(n, share)
    return share
  }
  for (const { number, whole, fetching } of shards) {
    for (const n of whole) {
      const share = shareOf(n)
      if (share.last !== number) share.whole++
      share.last = number
    }
    for (const [n] of fetching) shareOf(n)
  }
  sharesByHost.set(shards, shares)
  return shares
}

/**
 * A host's share of a split set: how many of its shards it has whole.
 * @param {readonly ShardRow[]} shards
 * @param {number} count how many make the model whole
 * @param {HostRow} host
 * @returns {CellState}
 */
export function modelCell(shards, count, host) {
  const share = sharesOf(shards).get(host.n)
  if (share === undefined) return NONE
  const words = `${share.whole} of ${count} shards`
  if (share.whole >= count) return { state: 'whole', text: '', level: 1, words: `whole, ${words}` }
  return { state: 'fetching', text: `${share.whole}/${count}`, level: share.whole / count, words }
}

/**
 * `shard-1, tiny-00002-of-00004.gguf: fetching, 45 %`
 * @param {HostRow} host
 * @param {string} name
 * @param {CellState} cell
 */
export const cellLabel = (host, name, { words }) =>
  `${host.name}, ${name}: ${host.state === 'lost' ? `host lost, last seen with ${words}` : words}`
