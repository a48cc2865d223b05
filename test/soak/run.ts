/**
 * Runs the long tests, one after the other: `node test/soak/run.ts [name …] [--seed N] [--minutes M]`, all of
 * them without a name. Ends with one line of JSON for each: what ran, with which seed, how it ended, its figures.
 *
 * A soak is a file of this folder that calls `soak` of helpers/soak; the name of the file is its name.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildProgram } from '../helpers/program.ts'
import type { SoakReport } from '../helpers/soak.ts'

interface Result extends SoakReport {
  readonly soak: string
  readonly seed: number
  readonly ok: boolean
  readonly seconds: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, minutes: { type: 'string' } },
})
const seed = number('seed', values.seed) ?? Date.now() % 1_000_000_000
const minutes = number('minutes', values.minutes)
const known = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.ts'))
  .sort()
for (const name of positionals) {
  if (!known.includes(name)) throw new Error(`no soak ${name}; there are ${known.join(', ')}`)
}

await buildProgram()
const results: Result[] = []
for (const name of positionals.length > 0 ? positionals : known) results.push(await run(name))
for (const result of results) console.log(JSON.stringify(result))
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1

function number(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (!(Number(value) > 0)) throw new Error(`--${name} takes a number, not ${value}`)
  return Number(value)
}

async function run(name: string): Promise<Result> {
  console.log(`# ${name}, seed ${seed}`)
  const startedAt = performance.now()
  const env = {
    ...process.env,
    GGUF_SOAK_SEED: String(seed),
    ...(minutes === undefined ? {} : { GGUF_SOAK_MINUTES: String(minutes) }),
  }
  const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.ts`)], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let figures: SoakReport['figures'] = {}
  child.on('message', (message) => {
    figures = { ...figures, ...(message as SoakReport).figures }
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  return { soak: name, seed, ok: code === 0, seconds, figures }
}
