/** The library as docs/library.md shows it: every example is type-checked and run against the installed package. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { startProcess } from '../helpers/process.ts'
import { ended, startBootstrap, startHost } from '../helpers/swarm.ts'
import { environmentOf, npm, pack, ROOT, THIS_NODE } from './package-kit.ts'

const MODEL = join(ROOT, 'fixtures/model')
const TSC = join(ROOT, 'node_modules/.bin/tsc')

/** The bootstrap node's address in the examples. */
const ADDRESS = '10.0.0.1:51820'

const CONSUMER = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    allowJs: true,
    checkJs: true,
    noEmit: true,
    skipLibCheck: false,
  },
  include: ['*.mjs', '*.ts'],
}

/** What TypeScript users write; only checked. */
const TYPED = `
import { createSeeder, get, createCoordinator, SwarmError, type Got, type FleetStatus, type SeedEvent } from 'gguf-swarm'

const events: SeedEvent[] = []
const onEvent = (event: SeedEvent): unknown => events.push(event)
await using seeder = await createSeeder('models', { name: 'a', replicate: { replicas: 2 }, onEvent })
const port: number = seeder.port
await using fleet = await createCoordinator({ fleetKey: 'fleet.key', replicas: 3 })
const status: FleetStatus = fleet.status
const { path, shards }: Got = await get(new Uint8Array(), { timeoutMs: null, signal: AbortSignal.timeout(1) })
const error: Error | null = await seeder.ended
if (error instanceof SwarmError) error.code satisfies string
// @ts-expect-error: no such option
await get('x', { output: path })
export { port, status, shards }
`

let project: string
const examples: string[] = []

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'gguf-swarm-library-'))
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'consumer', type: 'module' }))
  await npm(THIS_NODE, ['install', '--offline', await pack(project)], project)
  await mkdir(join(project, 'node_modules/@types'), { recursive: true })
  for (const name of ['@types/node', 'undici-types']) {
    await symlink(join(ROOT, 'node_modules', name), join(project, 'node_modules', name))
  }
  const docs = await readFile(join(ROOT, 'docs/library.md'), 'utf8')
  examples.push(...[...docs.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code))
  await cp(MODEL, join(project, 'models'), { recursive: true })
})
after(() => rm(project, { recursive: true, force: true }))

test('the types fit: the examples, and what TypeScript users write', async () => {
  assert.equal(examples.length, 5)
  for (const [index, code] of examples.entries()) await writeFile(join(project, `example-${index}.mjs`), code)
  await writeFile(join(project, 'typed.ts'), TYPED)
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify(CONSUMER))
  const { stdout } = await promisify(execFile)(TSC, ['-p', project]).catch((error) => error)
  assert.equal(stdout, '')
})

test('every example does what it says', async (t) => {
  const { address } = await startBootstrap(t)
  // Named, as the folder that the tests run in may hold a key.
  const host = await startHost(t, MODEL, { bootstrap: address, args: ['--fleet', 'default'] })
  for (const shard of [1, 2, 3, 4]) await host.announced(`tiny-llama-0000${shard}-of-00004.gguf`)
  const outputs: string[] = []
  for (const [index, code] of examples.entries()) {
    const file = join(project, `run-${index}.mjs`)
    await writeFile(file, code.replaceAll(ADDRESS, address))
    const env = environmentOf(THIS_NODE)
    const end = await ended(startProcess(t, process.execPath, [file], { cwd: project, env }))
    assert.equal(end.code, 0, `example ${index}: ${end.stderr}${end.stdout}`)
    outputs.push(end.stdout)
  }
  const [seeded = '', got = '', looked = '', failed = '', all = ''] = outputs
  assert.equal(
    seeded.match(/^tiny-llama-0000\d-of-00004\.gguf [0-9a-f]{40} magnet:\S+$/gm)?.length,
    4,
    seeded,
  )
  assert.match(got, /load this: \S+\/downloads\/tiny-llama-00001-of-00004\.gguf\n$/)
  for (const shard of [1, 2, 3, 4]) {
    const name = `tiny-llama-0000${shard}-of-00004.gguf`
    const copy = await readFile(join(project, 'downloads', name))
    assert.ok(copy.equals(await readFile(join(MODEL, name))), name)
  }
  assert.match(looked, /^tiny-llama 4 shards on \d host\(s\)\n$/)
  assert.match(failed, /^not-found .*nobody announces it/)
  assert.match(all, /\/all\/downloads\/tiny-llama-\d+-of-00004\.gguf\n$/)
})
