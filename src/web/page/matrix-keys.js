/**
 * Where a key leads in the matrix, as in the grid pattern of the ARIA authoring practices. Pure: rows count from -1,
 * the heads of the columns, columns from 0, the names.
 */

/**
 * @typedef {{ readonly row: number, readonly column: number }} Place
 */

/**
 * @param {Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey'>} event
 * @param {Place} from
 * @param {{ readonly rows: number, readonly columns: number, readonly page: number }} size
 * @returns {Place | null} null for keys that are not ours
 */
export function moved({ key, ctrlKey, metaKey, altKey }, { row, column }, { rows, columns, page }) {
  if (altKey || metaKey) return null
  const last = { row: rows - 1, column: columns - 1 }
  const to = (/** @type {number} */ nextRow, /** @type {number} */ nextColumn) => ({
    row: Math.max(-1, Math.min(last.row, nextRow)),
    column: Math.max(0, Math.min(last.column, nextColumn)),
  })
  switch (key) {
    case 'ArrowUp':
      return to(ctrlKey ? Math.min(0, row) : row - 1, column)
    case 'ArrowDown':
      return to(ctrlKey ? last.row : row + 1, column)
    case 'ArrowLeft':
      return to(row, ctrlKey ? 0 : column - 1)
    case 'ArrowRight':
      return to(row, ctrlKey ? last.column : column + 1)
    case 'Home':
      return ctrlKey ? to(0, 0) : to(row, 0)
    case 'End':
      return ctrlKey ? to(last.row, last.column) : to(row, last.column)
    case 'PageUp':
      return to(Math.max(Math.min(0, row), row - page), column)
    case 'PageDown':
      return to(row + page, column)
    default:
      return null
  }
}
