/**
 * Tables for terminals: columns as wide as their cells, the less important ones left out where there is no room, and
 * no line wider than the terminal. Widths are what a terminal shows, not characters. Pure.
 */
import { styleText } from 'node:util'
import { shorten, widthOf } from './progress.ts'

/** Styles in use; what they mean is said by the words too, for those who see no colours. */
export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green'

/** A text with a style, or a plain one. */
export type Cell = string | { readonly text: string; readonly style: Style }

export interface Column<T> {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** Columns with the largest number go first, together, when there is no room; those without stay. */
  readonly drop?: number
  /** Shortened before any column goes, down to so many columns. */
  readonly least?: number
  readonly cell: (row: T) => Cell
}

/** How it is to look. */
export interface Look {
  /** Columns of the terminal; infinity where lines may be of any length. */
  readonly columns: number
  readonly hasColours: boolean
}

const GAP = '  '

/** Puts a style on a text; elsewhere than on terminals it stays plain. */
export function styled(cell: Cell, { hasColours }: Pick<Look, 'hasColours'>): string {
  if (typeof cell === 'string') return cell
  return hasColours && cell.text !== ''
    ? styleText(cell.style, cell.text, { validateStream: false })
    : cell.text
}

const textOf = (cell: Cell): string => (typeof cell === 'string' ? cell : cell.text)

/** The lines of a table, its titles first; `indent` stands before each. */
export function renderTable<T>(
  all: readonly Column<T>[],
  rows: readonly T[],
  look: Look,
  indent = '',
): readonly string[] {
  const room = look.columns - 1 - widthOf(indent)
  const grid = all.map((column) => ({ column, cells: rows.map(column.cell) }))
  let shown = grid
    .map(({ column, cells }) => {
      const inCells = cells.reduce((widest, cell) => Math.max(widest, widthOf(textOf(cell))), 0)
      return { column, cells, width: Math.max(widthOf(column.title), inCells) }
    })
    .filter(({ width }) => width > 0)
  while (leastWidth(shown) > room) {
    const last = shown.reduce((a, b) => ((b.column.drop ?? 0) > (a.column.drop ?? 0) ? b : a))
    if (last.column.drop === undefined) break
    shown = shown.filter(({ column }) => column.drop !== last.column.drop)
  }
  let over = widthOfAll(shown) - room
  for (const column of shown) {
    const least = Math.min(column.column.least ?? column.width, column.width)
    const cut = Math.max(0, Math.min(over, column.width - least))
    column.width -= cut
    over -= cut
  }
  const line = (cells: readonly Cell[]): string => {
    const fitted = shown.map(({ width, column }, at) => fit(cells[at] ?? '', width, column.align, look))
    return `${indent}${fitted.join(GAP).trimEnd()}`
  }
  const titles = shown.map(({ column }): Cell => ({ text: column.title, style: 'dim' }))
  const hasTitles = shown.some(({ column }) => column.title !== '')
  return [
    ...(hasTitles ? [line(titles)] : []),
    ...rows.map((_, row) => line(shown.map(({ cells }) => cells[row] ?? ''))),
  ]
}

interface Shown {
  readonly column: { readonly least?: number }
  readonly width: number
}

const widthOfAll = (shown: readonly Shown[]): number =>
  shown.reduce((sum, { width }) => sum + width, GAP.length * Math.max(0, shown.length - 1))

const leastWidth = (shown: readonly Shown[]): number =>
  widthOfAll(shown.map(({ column, width }) => ({ column, width: Math.min(column.least ?? width, width) })))

function fit(cell: Cell, width: number, align: 'left' | 'right' | undefined, look: Look): string {
  const text = shorten(textOf(cell), width)
  const padding = ' '.repeat(Math.max(0, width - widthOf(text)))
  const inked = typeof cell === 'string' ? text : styled({ ...cell, text }, look)
  return align === 'right' ? padding + inked : inked + padding
}

/** Words in lines of at most `columns` columns, the later ones indented; a longer word is cut in two. */
export function wrap(text: string, columns: number, indent = ''): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').flatMap((whole) => pieces(whole, columns - widthOf(indent) - 1))) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line === '' || widthOf(longer) < columns) line = longer
    else {
      lines.push(line)
      line = indent + word
    }
  }
  return [...lines, line]
}

function pieces(word: string, columns: number): readonly string[] {
  if (widthOf(word) <= columns || columns < 1) return [word]
  const found: string[] = ['']
  for (const { segment } of new Intl.Segmenter().segment(word)) {
    const last = found.at(-1) ?? ''
    if (widthOf(last + segment) > columns) found.push(segment)
    else found[found.length - 1] = last + segment
  }
  return found
}
