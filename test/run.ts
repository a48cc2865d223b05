/**
 * Runs the tests with node:test and nothing else.
 *
 *   node test/run.ts                the short form, under three minutes on two cores
 *   node test/run.ts long           the other groups: what takes patience, standard clients, browser, llama.cpp, the package
 *   node test/run.ts swarm page …   these groups
 *
 * Groups are in lanes that run beside each other: some compute, some mostly wait for processes or for other programs.
 * Within a lane they run one after the other.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
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
  // All else that real processes meet: hosts that are lost, copies made anew, full disks, wrong names, signals.
  patient: {
    files: ['test/swarm/*.test.ts'],
    leaveOut: SWARM,
    parallel: 3,
    lane: 'starts processes',
    only: 'long',
  },
  heavy: { files: HEAVY, parallel: 1, lane: 'computes', only: 'long' },
  faults: { files: ['test/faults/*.test.ts'], parallel: 3, lane: 'starts processes', only: 'long' },
  page: { files: ['test/page/*.test.ts'], parallel: 2, lane: 'computes', only: 'long' },
  fuzz: { files: ['test/fuzz/*.test.ts'], parallel: 2, lane: 'computes', only: 'long' },
  llama: { files: ['test/llama/*.test.ts'], parallel: 1, lane: 'computes', only: 'long' },
  // What is published, packed and installed; `npm run test:install` tries many a Node and npm.
  package: { files: ['test/package/*.test.ts'], parallel: 1, lane: 'computes', only: 'long' },
  // Each in a network of its own; Transmission waits a minute for its DHT, and others work meanwhile.
  interop: { files: ['test/interop/*.test.ts'], parallel: 2, lane: 'waits', only: 'long' },
  // Minutes and hundreds of megabytes: before a release.
  deploy: { files: ['test/deploy/image/*.test.ts'], parallel: 1, lane: 'waits', only: 'named' },
}
/** Each file is a process, and most load the same sources. */
const COMPILED = join(import.meta.dirname, '../node_modules/.cache/gguf-swarm-compiled')
/** No file takes so long, and one that hangs is ended. */
const FILE_TIMEOUT_MS = 600_000

const chosen = wanted(process.argv.slice(2))
const lanes = [...new Set(chosen.map((name) => groupOf(name).lane))].map((lane) =>
  chosen.filter((name) => groupOf(name).lane === lane),
)
await buildProgram()
const results = await Promise.all(lanes.map((names) => runLane(names)))
const failed = results.flat()
console.log(failed.length === 0 ? `# all green: ${chosen.join(', ')}` : `# failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1

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

/** Gives the groups that failed. */
async function runLane(names: readonly string[]): Promise<readonly string[]> {
  const bad: string[] = []
  for (const name of names) if (!(await runGroup(name))) bad.push(name)
  return bad
}

/** What a group prints comes in one piece when it has ended, so that two lanes can be told apart. */
async function runGroup(name: string): Promise<boolean> {
  const { files: patterns, leaveOut = [], parallel } = groupOf(name)
  const files = globSync([...patterns], { exclude: leaveOut }).sort()
  if (files.length === 0) throw new Error(`test group ${name} has no files`)
  console.log(`# ${name}: ${files.length} files`)
  const options = ['--test', `--test-timeout=${FILE_TIMEOUT_MS}`, `--test-concurrency=${parallel}`]
  const child = spawn(process.execPath, [...options, ...files], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
  })
  const said: Buffer[] = []
  const say = (bytes: Buffer): void =>
    void (lanes.length === 1 ? process.stdout.write(bytes) : said.push(bytes))
  child.stdout.on('data', say)
  child.stderr.on('data', say)
  const status = await new Promise((resolve) => child.on('close', resolve))
  if (said.length > 0) console.log(`# ${name} has ended:\n${Buffer.concat(said)}`)
  return status === 0
}
