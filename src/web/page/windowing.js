/** Which rows and columns a scrolled box shows, so that only they are drawn. Pure. */

/**
 * @typedef {object} Span
 * @property {number} first
 * @property {number} end the one after the last
 */

/**
 * Where each row begins; the last entry is the height of all.
 * @param {readonly number[]} heights
 * @returns {readonly number[]}
 */
export function offsetsOf(heights) {
  const offsets = [0]
  let sum = 0
  for (const height of heights) {
    sum += height
    offsets.push(sum)
  }
  return offsets
}

/**
 * Rows between two heights, and `spare` more on each side.
 * @param {readonly number[]} offsets
 * @param {number} from
 * @param {number} to
 * @param {number} spare
 * @returns {Span}
 */
export function visible(offsets, from, to, spare) {
  const count = offsets.length - 1
  const first = Math.max(0, Math.min(count, indexAt(offsets, from)) - spare)
  const end = Math.min(count, indexAt(offsets, Math.max(from, to - 1)) + 1 + spare)
  return { first, end: Math.max(first, end) }
}

/**
 * The row that covers a height.
 * @param {readonly number[]} offsets
 * @param {number} height
 */
function indexAt(offsets, height) {
  let low = 0
  let high = offsets.length - 1
  while (low + 1 < high) {
    const middle = (low + high) >> 1
    if ((offsets[middle] ?? 0) <= height) low = middle
    else high = middle
  }
  return low
}

/**
 * Columns of one width.
 * @param {number} count
 * @param {number} width
 * @param {number} from
 * @param {number} to
 * @param {number} spare
 * @returns {Span}
 */
export function visibleColumns(count, width, from, to, spare) {
  const first = Math.max(0, Math.min(count, Math.floor(from / width)) - spare)
  const end = Math.min(count, Math.ceil(to / width) + spare)
  return { first, end: Math.max(first, end) }
}
