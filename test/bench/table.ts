/** The results as a table for the terminal. */
import type { ContenderResult, RowResult } from './bench.ts'

/** One row of the bench, a line a contender. */
export function renderRow(result: RowResult): string {
  const { row, contenders, ratio, best, noise, problems } = result
  const sides = [...new Set(contenders.flatMap((contender) => Object.keys(contender.sides)))]
  const shown = row.shown ?? []
  const head = [
    '',
    row.unit,
    '±',
    ...shown,
    ...sides.flatMap((side) => [`${side} CPU s${hasBytes(contenders) ? '/GB' : ''}`, 'MB']),
  ]
  const sorted = contenders.toSorted((a, b) =>
    row.better === 'more' ? b.value - a.value : a.value - b.value,
  )
  const lines = sorted.map((contender) => [
    contender.apart ? `(${contender.name})` : contender.name,
    number(contender.value),
    `${(contender.spread * 100).toFixed(0)} %`,
    ...shown.map((mark) => number(contender.marks[mark] ?? Number.NaN)),
    ...sides.flatMap((side) => {
      const cost = contender.sides[side]
      if (cost === undefined) return ['', '']
      return [(cost.cpuSecondsPerGb ?? cost.cpuSeconds).toFixed(2), (cost.peakRssBytes / 1e6).toFixed(0)]
    }),
  ])
  return [
    `## ${row.name}: ${row.title}`,
    ...columns([head, ...lines]),
    ...(ratio === null ? [] : [verdict(result, ratio, best)]),
    ...(row.limit === undefined ? [] : limited(result, row.limit)),
    ...(noise.isNoisy ? [noisy(result)] : []),
    ...problems.map((problem) => `not measured: ${problem.split('\n')[0]}`),
    '',
  ].join('\n')
}

function verdict({ row: { target } }: RowResult, ratio: number, best: string | null): string {
  const reached =
    target === null ? '' : `; target ${target.toFixed(2)}: ${ratio >= target ? 'reached' : 'not reached'}`
  return `gguf-swarm to ${best}: ${ratio.toFixed(2)} × as good${reached}`
}

function limited({ row, contenders }: RowResult, limit: number): readonly string[] {
  const our = contenders.find(({ name }) => name === 'gguf-swarm')
  if (our === undefined) return []
  return [`at most ${limit} ${row.unit}: ${our.value <= limit ? 'reached' : 'not reached'}`]
}

function noisy({ noise }: RowResult): string {
  const foreign = (noise.foreignShare * 100).toFixed(0)
  const calibration = (noise.calibrationSpread * 100).toFixed(0)
  return `too noisy to judge: others took ${foreign} % of the machine, the calibration varied by ${calibration} %`
}

function hasBytes(contenders: readonly ContenderResult[]): boolean {
  return contenders.some(({ sides }) =>
    Object.values(sides).some(({ cpuSecondsPerGb }) => cpuSecondsPerGb !== null),
  )
}

function number(value: number): string {
  if (Number.isNaN(value)) return ''
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
}
