/** The results as bar charts in SVG, one file a row, readable on light and dark pages. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContenderResult, RowResult } from './bench.ts'

const WIDTH = 720
const LABEL_WIDTH = 190
const VALUE_WIDTH = 110
const BAR_HEIGHT = 22
const GAP = 8
const TOP = 52
const FONT = 'font-family="system-ui, sans-serif"'

/** Writes `<row>.svg` for each row into the folder. */
export async function writePlots(folder: string, results: readonly RowResult[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const result of results) {
    if (result.contenders.length > 0) await writeFile(join(folder, `${result.row.name}.svg`), plot(result))
  }
}

/** One bar a contender, the best on top, a thin line over it from the least to the most of its samples. */
export function plot({ row, contenders, noise }: RowResult): string {
  const sorted = contenders.toSorted((a, b) =>
    row.better === 'more' ? b.value - a.value : a.value - b.value,
  )
  const most = Math.max(...sorted.flatMap(({ values }) => values))
  const height = TOP + sorted.length * (BAR_HEIGHT + GAP) + GAP
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"` +
      ' role="img" aria-labelledby="title">',
    `<title id="title">${escaped(row.title)}</title>`,
    '<style>text{fill:#24292f}.note{fill:#57606a}.range{stroke:#24292f}',
    '@media (prefers-color-scheme: dark){text{fill:#e6edf3}.note{fill:#8b949e}.range{stroke:#e6edf3}}</style>',
    `<text x="0" y="18" ${FONT} font-size="15" font-weight="600">${escaped(row.title)}</text>`,
    `<text class="note" x="0" y="38" ${FONT} font-size="12">` +
      `${escaped(row.unit)}, ${row.better} is better; median, line: all samples` +
      `${noise.isNoisy ? '; the machine had other work to do' : ''}</text>`,
    ...sorted.map((contender, index) => bar(contender, TOP + index * (BAR_HEIGHT + GAP), most)),
    '</svg>',
    '',
  ].join('\n')
}

function bar({ name, value, values, apart }: ContenderResult, y: number, most: number): string {
  const scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most
  const [low, high] = [Math.min(...values), Math.max(...values)].map((x) => LABEL_WIDTH + x * scale)
  const middle = y + BAR_HEIGHT / 2
  const colour = name === 'gguf-swarm' ? '#2da44e' : apart ? '#d0d7de' : '#8c959f'
  const at = Math.max(high!, LABEL_WIDTH + value * scale) + 8
  return [
    `<text x="0" y="${middle + 5}" ${FONT} font-size="13">${escaped(name)}</text>`,
    `<rect x="${LABEL_WIDTH}" y="${y}" width="${fixed(value * scale)}" height="${BAR_HEIGHT}" rx="3" fill="${colour}"/>`,
    `<line class="range" x1="${fixed(low!)}" x2="${fixed(high!)}" y1="${middle}" y2="${middle}" stroke-width="1.5"/>`,
    `<text x="${fixed(at)}" y="${middle + 5}" ${FONT} font-size="13">` +
      `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}</text>`,
  ].join('\n')
}

const fixed = (value: number): string => value.toFixed(1)

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
