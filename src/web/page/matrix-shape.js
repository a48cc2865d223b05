/** How wide and high the parts of the matrix are in the room there is. Pure; pixels. */

/** Room for `45 %`, and wide enough for a finger. */
const MIN_COLUMN = 46
/** Wider cells say no more. */
const MAX_COLUMN = 148
/** From here on two words fit above a column. */
const MIN_LEVEL = 72
/** A little more than letters of the heads take, and what is around them; longer names are cut. */
const LETTER = 7.2
const MAX_UPRIGHT = 110
const SEEDS_WIDTH = 62
const SIZE_WIDTH = 82

/**
 * @typedef {object} Shape
 * @property {number} name width of the first column
 * @property {number} column width of a host's
 * @property {number} seeds
 * @property {number} size
 * @property {number} head height of the heads
 * @property {number} total width of everything
 * @property {number} upright height of a host's name where it stands
 * @property {boolean} isLevel whether host names lie
 * @property {boolean} isTight whether names of files leave out what the number before them says
 * @property {boolean} hasFixedTail whether seeds and size stay in sight while the hosts are scrolled
 */

/**
 * @param {number} width of the box
 * @param {number} hosts
 * @param {number} longest letters of the longest host name
 * @returns {Shape}
 */
export function shapeOf(width, hosts, longest) {
  const isNarrow = width < 640
  const tail = SEEDS_WIDTH + SIZE_WIDTH
  // Names yield where hosts have to be scrolled.
  const isTight = hosts * MIN_LEVEL > width - 330 - tail
  const minName = isNarrow ? Math.max(132, Math.round(width * 0.4)) : isTight ? 250 : 330
  const room = width - minName - tail
  const column = Math.floor(Math.max(MIN_COLUMN, Math.min(MAX_COLUMN, hosts > 0 ? room / hosts : MAX_COLUMN)))
  const name = Math.max(minName, width - tail - column * hosts)
  const isLevel = column >= Math.max(MIN_LEVEL, Math.min(longest, 14) * LETTER + 10)
  const upright = Math.min(MAX_UPRIGHT, Math.ceil(longest * LETTER))
  return {
    name,
    column,
    seeds: SEEDS_WIDTH,
    size: SIZE_WIDTH,
    head: isLevel || hosts === 0 ? 54 : Math.max(54, upright + 28),
    upright,
    total: name + column * hosts + tail,
    isLevel,
    isTight: isNarrow || isTight,
    hasFixedTail: !isNarrow,
  }
}
