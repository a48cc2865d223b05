/**
 * `npm run test:install`: the package on every Node and npm that it is promised for, and what Nodes older than that are
 * told. Takes minutes and some hundred MB from the npm registry, so it is no part of `npm test`.
 */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { startProcess } from '../helpers/process.ts'
import { ended } from '../helpers/swarm.ts'
import {
  environmentOf,
  helpOfAll,
  installGlobally,
  npm,
  pack,
  ROOT,
  THIS_NODE,
  type Toolchain,
  useAll,
} from './package-kit.ts'

/** The lowest promised, and the last of each line. */
const NODES = ['20.19.0', '20.20.2', '22.22.2', '24.21.0']
const NPMS = ['10.9.9', '11.21.2', '12.2.1']
/** npm 12 refuses to run on it. */
const WITHOUT_NPM_12 = /^20\./
const OLD_NODES = ['12.22.12', '14.21.3', '16.20.2', '18.20.8']
const ATTW = '@arethetypeswrong/core@0.18.5'

let folder: string
let tarball: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gguf-swarm-matrix-'))
  tarball = await pack(folder)
})
after(() => rm(folder, { recursive: true, force: true }))

/** Puts a package of the registry into a folder of its own; gives that package's folder. */
async function fetchPackage(name: string, version: string): Promise<string> {
  const home = join(folder, `${name.replace('/', '-')}-${version}`)
  await mkdir(home, { recursive: true })
  await writeFile(join(home, 'package.json'), '{"private":true}')
  await npm(THIS_NODE, ['install', '--ignore-scripts', '--prefer-offline', `${name}@${version}`], home)
  return join(home, 'node_modules', name)
}

async function fetchNode(version: string): Promise<string> {
  return join(await fetchPackage(`node-${process.platform}-${process.arch}`, version), 'bin/node')
}

for (const version of NODES) {
  test(`Node ${version}`, async (t) => {
    const node = await fetchNode(version)
    const npms = NPMS.filter((npm) => !npm.startsWith('12.') || !WITHOUT_NPM_12.test(version))
    for (const [index, npmVersion] of npms.entries()) {
      await t.test(`npm ${npmVersion}`, async (t) => {
        const cli = join(await fetchPackage('npm', npmVersion), 'bin/npm-cli.js')
        const tools: Toolchain = { node, npm: cli }
        assert.match(await npm(tools, ['--version'], folder), new RegExp(`^${npmVersion}`))
        const installed = await installGlobally(tools, tarball, join(folder, `${version}-${npmVersion}`))
        await helpOfAll(t, installed)
        if (index > 0) return // the same files are installed; what they do does not depend on npm
        await useAll(t, installed)
        await useLibrary(tools)
      })
    }

    async function useLibrary(tools: Toolchain): Promise<void> {
      const project = join(folder, `library-${version}`)
      await mkdir(join(project, 'models'), { recursive: true })
      await writeFile(join(project, 'package.json'), '{"type":"module"}')
      await npm(tools, ['install', '--offline', tarball], project)
      const shard = await readFile(join(ROOT, 'fixtures/shards/shard-0.gguf'))
      await writeFile(join(project, 'models/shard-0.gguf'), shard)
      const docs = await readFile(join(ROOT, 'docs/library.md'), 'utf8')
      const [, code = ''] = /All in one process[\s\S]*?```js\n([\s\S]*?)```/.exec(docs) ?? []
      await writeFile(join(project, 'all.js'), code)
      const env = environmentOf(tools)
      const {
        code: exit,
        stdout,
        stderr,
      } = await ended(startProcess(t, node, ['all.js'], { cwd: project, env }))
      assert.equal(exit, 0, stderr)
      assert.ok((await readFile(stdout.trim())).equals(shard))
    }
  })
}

test('an old Node says what to do', async (t) => {
  const installed = await installGlobally(THIS_NODE, tarball, join(folder, 'old'))
  for (const version of OLD_NODES) {
    const node = await fetchNode(version)
    const launcher = join(installed.root, 'bin/gguf-swarm.js')
    const { code, stdout, stderr } = await ended(startProcess(t, node, [launcher, 'seed']))
    assert.equal(code, 1, version)
    assert.equal(stdout, '')
    assert.match(stderr, new RegExp(`^gguf-swarm needs Node 20\\.19 or newer; this is v${version}\\.\n`))
    assert.match(stderr, /https:\/\/nodejs\.org/)
    assert.doesNotMatch(stderr, /Error|Warning/)
  }
})

test('the types are right for every way of resolving them', async () => {
  const [name = '', version = ''] = ATTW.split(/(?<=.)@/)
  const core = join(await fetchPackage(name, version), 'dist/index.js')
  const { checkPackage, createPackageFromTarballData } = await import(pathToFileURL(core).href)
  const result = await checkPackage(createPackageFromTarballData(new Uint8Array(await readFile(tarball))))
  assert.equal(result.types.kind, 'included')
  // An ES module is loaded by `import()` from CommonJS; that is so, and said so.
  const problems = result.problems.filter(({ kind }: { kind: string }) => kind !== 'CJSResolvesToESM')
  assert.deepEqual(problems, [])
})
