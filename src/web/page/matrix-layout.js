/** What the matrix works out from what it is given, before anything is drawn. Pure. */
import { heightOf } from './rows.js'
import { offsetsOf } from './windowing.js'

/**
 * @import { HostRow } from '../feed.ts'
 * @import { Alarm } from '../../fleet/status.ts'
 * @import { Place } from './matrix-keys.js'
 * @import { Shape } from './matrix-shape.js'
 * @import { Row } from './rows.js'
 */

/** Below the last row, for a scroll bar that lies over it. */
export const FOOT = 2

/**
 * Where each row begins, and which one a key stands for.
 * @param {readonly Row[]} rows
 */
export const layoutOf = (rows) => ({
  offsets: offsetsOf(rows.map(heightOf)),
  indexes: new Map(rows.map(({ key }, index) => [key, index])),
})

/**
 * The worst alarm about each shard.
 * @param {readonly Alarm[]} alarms
 * @returns {ReadonlyMap<string, Alarm['severity']>}
 */
export function severitiesOf(alarms) {
  /** @type {Map<string, Alarm['severity']>} */
  const byHash = new Map()
  for (const { infoHash, severity } of alarms) {
    if (infoHash !== undefined && byHash.get(infoHash) !== 'critical') byHash.set(infoHash, severity)
  }
  return byHash
}

/**
 * The hosts as cells need them: the list from before while only rates and the like changed.
 * @param {readonly HostRow[]} before
 * @param {readonly HostRow[]} hosts
 */
export function sameColumns(before, hosts) {
  const isSame =
    hosts.length === before.length &&
    hosts.every((host, index) => {
      const old = before[index]
      return (
        old?.hostId === host.hostId && old.n === host.n && old.name === host.name && old.state === host.state
      )
    })
  return isSame ? before : hosts
}

/**
 * Letters of the longest name.
 * @param {readonly HostRow[]} hosts
 */
export const longestName = (hosts) => hosts.reduce((most, { name }) => Math.max(most, [...name].length), 0)

/**
 * How far a box must be scrolled to show a cell beside what stands fast; no further than it takes.
 * @param {Place} place
 * @param {{ scrollTop: number, scrollLeft: number, clientWidth: number, clientHeight: number }} box
 * @param {readonly number[]} offsets
 * @param {Shape} shape
 * @param {number} hosts
 * @returns {{ top: number, left: number }}
 */
export function revealed(
  { row, column },
  { scrollTop, scrollLeft, clientWidth, clientHeight },
  offsets,
  shape,
  hosts,
) {
  let [top, left] = [scrollTop, scrollLeft]
  if (row >= 0) {
    const [from = 0, to = 0] = [offsets[row], offsets[row + 1]]
    top = Math.max(Math.min(top, from), to - clientHeight + shape.head + FOOT)
  }
  if (column > hosts) left = shape.hasFixedTail ? left : shape.total
  else if (column > 0) {
    const from = (column - 1) * shape.column
    const room = clientWidth - shape.name - (shape.hasFixedTail ? shape.seeds + shape.size : 0)
    left = Math.max(Math.min(left, from), from + shape.column - room)
  }
  return { top, left }
}
