/**
 * Runs the tests with node:test and nothing else: `node test/run.ts [unit|swarm|hostile|llama|page|interop …]`,
 * all of them without an argument; `deploy` only when it is named. Groups run one after the other, so that timing in one cannot be
 * disturbed by another.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'

const GROUPS: Readonly<Record<string, { files: readonly string[]; parallel: number }>> = {
  unit: {
    files: [
      'test/*.test.ts',
      'test/{gguf,metainfo,library,swarm-unit,fleet,manual,deploy,commands,web,page-unit}/*.test.ts',
    ],
    parallel: 2,
  },
  swarm: { files: ['test/swarm/*.test.ts'], parallel: 4 },
  hostile: { files: ['test/hostile/*.test.ts'], parallel: 2 },
  llama: { files: ['test/llama/*.test.ts'], parallel: 1 },
  page: { files: ['test/page/*.test.ts'], parallel: 1 },
  interop: { files: ['test/interop/*.test.ts'], parallel: 1 },
}

/** Minutes and hundreds of megabytes: run before a release. */
const LONG: typeof GROUPS = { deploy: { files: ['test/deploy/image/*.test.ts'], parallel: 1 } }

const wanted = process.argv.slice(2)
let failed = 0
for (const name of wanted.length > 0 ? wanted : Object.keys(GROUPS)) {
  const group = { ...GROUPS, ...LONG }[name]
  if (group === undefined)
    throw new Error(`no test group ${name}; there are ${Object.keys(GROUPS).join(', ')}`)
  const files = globSync([...group.files]).sort()
  if (files.length === 0) throw new Error(`test group ${name} has no files`)
  console.log(`# ${name}: ${files.length} files`)
  const { status } = spawnSync(
    process.execPath,
    ['--test', '--test-timeout=600000', `--test-concurrency=${group.parallel}`, ...files],
    { stdio: 'inherit' },
  )
  if (status !== 0) failed++
}
process.exitCode = failed > 0 ? 1 : 0
