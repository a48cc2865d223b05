/**
 * Runs the tests with node:test and nothing else.
 *
 *   node test/run.ts                the short form, under three minutes on two cores
 *   node test/run.ts long           the other groups: what takes patience, standard clients, browser, llama.cpp, the package
 *   node test/run.ts swarm page …   these groups
 *   … --again                       files that failed once more, each alone: on a machine that others use a test may starve;
 *                                   it says which
 *
 * Groups are in lanes that run beside each other: some compute, some mostly wait for processes or for other programs.
 * Within a lane they run one after the other.
 */
import { spawn } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { atExit } from './helpers/after-test.ts'
import { buildProgram } from './helpers/program.ts'

interface Group {
  readonly files: readonly string[]
  readonly leaveOut?: readonly string[]
  /** Files at once. */
  readonly parallel: number
  readonly lane: 'computes' | 'starts processes' | 'waits'
  /** Not in the short form, but in the long one or only by its name. */
  readonly only?: 'long' | 'named'
}

/** What each command is for, and that it works. */
const SWARM = [
  'seed-get',
  'two-hosts',
  'names',
  'peers',
  'files',
  'late-files',
  'changes',
  'restart',
  'disk-fault',
  'fleet',
  'web',
  'verify',
  'library',
].map((name) => `test/swarm/${name}.test.ts`)
/** Ten seconds of processor time each, and more. */
const HEAVY = ['check', 'library/hash-helper', 'manual/command-line', 'hostile/catalogue-members'].map(
  (name) => `test/${name}.test.ts`,
)

const GROUPS: Readonly<Record<string, Group>> = {
  unit: {
    files: [
      'test/*.test.ts',
      'test/{gguf,metainfo,library,swarm-unit,fleet,manual,deploy,commands,web,page-unit}/*.test.ts',
      'test/fleet/*/*.test.ts',
    ],
    leaveOut: HEAVY,
    parallel: 2,
    lane: 'computes',
  },
  swarm: { files: SWARM, parallel: 4, lane: 'starts processes' },
  hostile: { files: ['test/hostile/*.test.ts'], leaveOut: HEAVY, parallel: 2, lane: 'waits' },
  faults: { files: ['test/faults/*.test.ts'], parallel: 4, lane: 'waits' },
  // All else that real processes meet: hosts that are lost, copies made anew, full disks, wrong names, signals.
  patient: {
    files: ['test/swarm/*.test.ts'],
    leaveOut: SWARM,
    parallel: 3,
    lane: 'starts processes',
    only: 'long',
  },
  heavy: { files: HEAVY, parallel: 1, lane: 'computes', only: 'long' },
  page: { files: ['test/page/*.test.ts'], parallel: 2, lane: 'computes', only: 'long' },
  fuzz: { files: ['test/fuzz/*.test.ts'], parallel: 2, lane: 'starts processes' },
  llama: { files: ['test/llama/*.test.ts'], parallel: 1, lane: 'computes', only: 'long' },
  // What is published, packed and installed; `npm run test:install` tries many a Node and npm.
  package: { files: ['test/package/*.test.ts'], parallel: 1, lane: 'computes', only: 'long' },
  // Each in a network of its own; Transmission waits a minute for its DHT, and others work meanwhile.
  interop: { files: ['test/interop/*.test.ts'], parallel: 2, lane: 'waits', only: 'long' },
  // Minutes and hundreds of megabytes: before a release.
  deploy: { files: ['test/deploy/image/*.test.ts'], parallel: 1, lane: 'waits', only: 'named' },
}
const FAILED_FILES = join(import.meta.dirname, 'failed-files.ts')
/** Each file is a process, and most load the same sources. */
const COMPILED = join(import.meta.dirname, '../node_modules/.cache/gguf-swarm-compiled')
/** No file takes so long, and one that hangs is ended. */
const FILE_TIMEOUT_MS = 600_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { again: { type: 'boolean', default: false } },
})
const chosen = wanted(positionals)
const lanes = [...new Set(chosen.map((name) => groupOf(name).lane))].map((lane) =>
  chosen.filter((name) => groupOf(name).lane === lane),
)
await buildProgram()
const failed = (await Promise.all(lanes.map((names) => runLane(names)))).flat()
const stillFailed = values.again ? await runAgain(failed) : failed
const passedAlone = failed.filter((file) => !stillFailed.includes(file))
if (passedAlone.length > 0) console.log(`# failed among others, passed alone: ${passedAlone.join(', ')}`)
console.log(
  stillFailed.length === 0 ? `# all green: ${chosen.join(', ')}` : `# failed: ${stillFailed.join(', ')}`,
)
process.exitCode = stillFailed.length === 0 ? 0 : 1

function wanted(names: readonly string[]): readonly string[] {
  const form = names.length === 0 ? undefined : names[0] === 'long' ? 'long' : null
  return form === null ? names : Object.keys(GROUPS).filter((name) => groupOf(name).only === form)
}

function groupOf(name: string): Group {
  const group = GROUPS[name]
  if (group === undefined)
    throw new Error(`no test group ${name}; there are ${Object.keys(GROUPS).join(', ')}`)
  return group
}

/** Gives the files that failed. */
async function runLane(names: readonly string[]): Promise<readonly string[]> {
  const failed: string[] = []
  for (const name of names) {
    const { files: patterns, leaveOut = [], parallel } = groupOf(name)
    const files = globSync([...patterns], { exclude: leaveOut }).sort()
    if (files.length === 0) throw new Error(`test group ${name} has no files`)
    console.log(`# ${name}: ${files.length} files`)
    failed.push(...(await runFiles(name, files, parallel)))
  }
  return failed
}

async function runAgain(files: readonly string[]): Promise<readonly string[]> {
  const failed: string[] = []
  for (const file of files) failed.push(...(await runFiles(`${file}, again`, [file], 1)))
  return failed
}

/** What they print comes in one piece when they have ended, so that two lanes can be told apart. */
async function runFiles(
  what: string,
  files: readonly string[],
  parallel: number,
): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gguf-swarm-run-'))
  const list = join(folder, 'failed')
  const options = [
    `--test-timeout=${FILE_TIMEOUT_MS}`,
    `--test-concurrency=${parallel}`,
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${FAILED_FILES}`, `--test-reporter-destination=${list}`],
  ]
  const child = spawn(process.execPath, ['--test', ...options, ...files], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Names of the tests' fleets are not kept for the shells of whoever runs them.
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED, XDG_CACHE_HOME: folder },
  })
  const forget = atExit(() => {
    child.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  const said: Buffer[] = []
  const say = (bytes: Buffer): void =>
    void (lanes.length === 1 ? process.stdout.write(bytes) : said.push(bytes))
  child.stdout.on('data', say)
  child.stderr.on('data', say)
  const status = await new Promise((resolve) => child.on('close', resolve))
  if (said.length > 0) console.log(`# ${what} has ended:\n${Buffer.concat(said)}`)
  const failed = existsSync(list) ? readFileSync(list, 'utf8').split('\n').filter(Boolean) : []
  rmSync(folder, { recursive: true, force: true })
  forget()
  // A run that fails without a failed test is broken as a whole.
  return status === 0 ? [] : failed.length > 0 ? failed : files
}
