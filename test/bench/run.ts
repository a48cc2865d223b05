/**
 * The bench: `npm run bench -- [--quick] [--only ROW[,ROW]] [--rounds N] [--contenders NAME,NAME] [--bytes N]
 * [--patience SECONDS] [--json FILE] [--plots FOLDER] [--draw] [--list]`. Compares this program with other
 * implementations on this machine. Rows that FILE has of earlier runs stay there unless they are measured again;
 * `--draw` measures nothing, and only draws and prints what FILE has.
 */
import { parseArgs } from 'node:util'
import { buildProgram } from '../helpers/program.ts'
import { openBench, type RunOptions, runRow } from './bench.ts'
import { benchAddress, inOwnNetwork } from './network.ts'
import { writePlots } from './plots.ts'
import { stopAll } from './processes.ts'
import { readResults, type StoredRow, writeResults } from './results.ts'
import { ROWS } from './rows/rows.ts'
import { renderRow } from './table.ts'

const DEFAULT_ROUNDS = 5
const QUICK_ROUNDS = 3
const PATIENCE_S = 10
const QUICK_PATIENCE_S = 1
/** The size of the shards in the old report. */
const FILE_BYTES = 492_000_000
const QUICK_FILE_BYTES = 246_000_000

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    contenders: { type: 'string' },
    bytes: { type: 'string' },
    patience: { type: 'string' },
    json: { type: 'string' },
    plots: { type: 'string' },
    draw: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})

async function main(): Promise<number> {
  const names = values.only?.split(',')
  const unknown = names?.filter((name) => !ROWS.some((row) => row.name === name)) ?? []
  if (values.list || unknown.length > 0) {
    if (unknown.length > 0) console.error(`no such row: ${unknown.join(', ')}; there are:`)
    for (const { name, title } of ROWS) console.log(`${name.padEnd(12)} ${title}`)
    return unknown.length > 0 ? 2 : 0
  }
  if (values.draw) {
    const stored = values.json === undefined ? [] : await readResults(values.json)
    for (const result of stored) console.log(renderRow(result))
    if (values.plots !== undefined) await writePlots(values.plots, stored)
    return 0
  }
  await buildProgram()
  const code = await inOwnNetwork()
  if (code !== null) return code

  const rows = ROWS.filter(({ name, slow }) => names?.includes(name) ?? !(values.quick && slow))
  const options: RunOptions = {
    rounds: Number(values.rounds ?? (values.quick ? QUICK_ROUNDS : DEFAULT_ROUNDS)),
    fileBytes: Number(values.bytes ?? (values.quick ? QUICK_FILE_BYTES : FILE_BYTES)),
    quick: values.quick,
    address: benchAddress(),
    contenders: values.contenders?.split(',') ?? [],
    patienceMs: Number(values.patience ?? (values.quick ? QUICK_PATIENCE_S : PATIENCE_S)) * 1000,
    say: (line) => console.error(line),
  }
  await using bench = await openBench(options)
  const results: StoredRow[] = []
  for (const row of rows) {
    const result = await runRow(row, bench, options)
    results.push({ ...result, time: new Date().toISOString(), rounds: options.rounds })
    console.log(renderRow(result))
    // After each row: a run that is cut short leaves what it has measured.
    if (values.json !== undefined) await writeResults(values.json, results)
    await stopAll() // after a row that failed: nothing of it must run beside the next one
  }
  if (values.plots !== undefined) await writePlots(values.plots, results)
  return 0
}

process.exitCode = await main()
