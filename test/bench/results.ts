/** The file of results: what was measured last of each row, with when and on what. */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { systemCode } from '../../src/errors.ts'
import type { RowResult } from './bench.ts'

/** Figures are no better than that. */
const DIGITS = 4

export interface StoredRow extends RowResult {
  readonly time: string
  readonly rounds: number
}

interface Results {
  readonly machine: object
  readonly node: string
  readonly results: readonly StoredRow[]
}

/** The rows of a file; none when it is not there. */
export async function readResults(file: string): Promise<readonly StoredRow[]> {
  try {
    return (JSON.parse(await readFile(file, 'utf8')) as Results).results
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Puts rows into the file, each in the place of an earlier one of its name. */
export async function writeResults(file: string, rows: readonly StoredRow[]): Promise<void> {
  const names = new Set(rows.map(({ row }) => row.name))
  const others = (await readResults(file)).filter(({ row }) => !names.has(row.name))
  const about = { machine: machine(), node: process.version }
  const lines = [...others, ...rows].map((row) => JSON.stringify(row, rounded))
  // A line a row: it can be read, and compared with the one before.
  const text = `${JSON.stringify(about).slice(0, -1)},"results":[\n${lines.join(',\n')}\n]}\n`
  await writeFile(file, text)
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value
}

/** Enough to understand the figures, and nothing that names a machine. */
function machine(): object {
  return { cores: cpus().length, arch: process.arch, platform: process.platform }
}
