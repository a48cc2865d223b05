/** Numbers, times and hashes as people read them. Pure. */

const BYTE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']

/**
 * Three digits and a decimal unit, as everywhere in gguf-swarm.
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`
}

/** @param {number} bytesPerSecond */
export const formatRate = (bytesPerSecond) => `${formatBytes(Math.round(bytesPerSecond))}/s`

/**
 * With a comma every three digits.
 * @param {number} count
 */
export const formatCount = (count) => count.toLocaleString('en')

/**
 * `1 shard`, `2 shards`.
 * @param {number} count
 * @param {string} noun
 */
export const counted = (count, noun) => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`

/**
 * Whole percents, rounded down: 100 is said only of what is whole.
 * @param {number} part
 * @param {number} whole
 */
export const percent = (part, whole) =>
  whole <= 0 ? 0 : Math.max(0, Math.min(99, Math.floor((part / whole) * 100)))

/** @param {number} value */
const two = (value) => String(value).padStart(2, '0')

/**
 * The local time of day of an ISO 8601 text; a dash for what is no time.
 * @param {string} iso
 */
export function clock(iso) {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return '–'
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

/**
 * Day and time, for what may be long ago.
 * @param {string} iso
 */
export function dayAndClock(iso) {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return '–'
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(iso)}`
}

/**
 * A duration, its two largest units.
 * @param {number} seconds
 */
export function formatSeconds(seconds) {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`
}
