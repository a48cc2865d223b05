/** The package as npm makes it, installed as a user does, and what every installed copy must be able to do. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { MANUALS } from '../../src/commands/all.ts'
import { VERSION } from '../../src/config.ts'
import { type RunningProcess, startProcess } from '../helpers/process.ts'
import { type Got as Ended, ended, PATIENCE_MS, scratchFolder, untilSaid } from '../helpers/swarm.ts'

export const ROOT = join(import.meta.dirname, '../..')
const run = promisify(execFile)

/** Bundling and declarations take 5 s; the rest is for busy machines. */
const NPM_TIMEOUT_MS = 240_000

/** A Node, and the npm that it runs; npm as the PATH has it unless told. */
export interface Toolchain {
  readonly node: string
  /** `npm-cli.js`. */
  readonly npm?: string
}

/** What everything is run with when the tests do not say. */
export const THIS_NODE: Toolchain = { node: process.execPath }

/** What npm tells of the script it runs, how tests are run, and what would be settings of the program. */
const FOREIGN =
  /^(npm_(?!config_)|npm_config_(local_|global_)?prefix$|NODE_(OPTIONS|TEST|COMPILE|PATH)|GGUF_)/i

/** The environment in which a toolchain's Node comes first, and no setting of whoever runs the tests counts. */
export function environmentOf({ node }: Toolchain, extra: Readonly<Record<string, string>> = {}) {
  const own = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name))
  return {
    ...(Object.fromEntries(own) as Record<string, string>),
    PATH: `${dirname(node)}${delimiter}${process.env['PATH']}`,
    ...extra,
  }
}

/** Runs npm in `cwd`; gives what it printed. */
export async function npm(tools: Toolchain, args: readonly string[], cwd: string): Promise<string> {
  const [program, ...first] = tools.npm === undefined ? ['npm'] : [tools.node, tools.npm]
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier']
  const { stdout, stderr } = await run(program ?? 'npm', [...first, ...args, ...quiet], {
    cwd,
    env: environmentOf(tools),
    timeout: NPM_TIMEOUT_MS,
  }).catch((error: unknown) => {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`npm ${args.join(' ')}: ${stdout}${stderr}`, { cause: error })
  })
  return `${stdout}${stderr}`
}

/** Packs this checkout; gives the path of the tarball. */
export async function pack(folder: string): Promise<string> {
  await npm(THIS_NODE, ['pack', '--pack-destination', folder], ROOT)
  return join(folder, `gguf-swarm-${VERSION}.tgz`)
}

/** An installed copy. */
export interface Installed {
  readonly tools: Toolchain
  /** The command as a shell finds it. */
  readonly bin: string
  /** The package's folder. */
  readonly root: string
}

/** Installs a tarball as `npm i -g` does, without a network: it needs nothing but itself. */
export async function installGlobally(tools: Toolchain, tarball: string, prefix: string): Promise<Installed> {
  await npm(tools, ['install', '--global', '--offline', '--prefix', prefix, tarball], dirname(tarball))
  return { tools, bin: join(prefix, 'bin/gguf-swarm'), root: join(prefix, 'lib/node_modules/gguf-swarm') }
}

/** Starts the installed command in `cwd`. */
export function start(
  t: TestContext,
  { tools, bin }: Installed,
  args: readonly string[],
  cwd: string,
): RunningProcess {
  return startProcess(t, bin, args, { cwd, env: environmentOf(tools) })
}

/** Runs the installed command to its end, which must be a good one. */
async function succeed(
  t: TestContext,
  installed: Installed,
  args: readonly string[],
  cwd: string,
): Promise<Ended> {
  const end = await ended(start(t, installed, args, cwd))
  const what = `gguf-swarm ${args.join(' ')}`
  assert.equal(end.code, 0, `${what}: exit code ${end.code}: ${end.stderr}${end.stdout.slice(-2_000)}`)
  assert.doesNotMatch(end.stderr, /\(node:\d+\)|Warning:/, `warnings of ${what}`)
  return end
}

/** Every command says what it takes. */
export async function helpOfAll(t: TestContext, installed: Installed): Promise<void> {
  const cwd = await scratchFolder(t)
  assert.equal((await succeed(t, installed, ['--version'], cwd)).stdout, `${VERSION}\n`)
  const all = (await succeed(t, installed, ['--help'], cwd)).stdout
  for (const { name } of MANUALS) {
    assert.match(all, new RegExp(`^ +gguf-swarm ${name}\\b`, 'm'))
    const { stdout } = await succeed(t, installed, [name, '--help'], cwd)
    assert.match(stdout, new RegExp(`^gguf-swarm ${name}\\b`), name)
  }
}

/**
 * Every command does its work: `up` runs bootstrap, page, hosts and the verification as processes of the package,
 * on the sample model that it brings; the others join that fleet.
 */
export async function useAll(t: TestContext, installed: Installed): Promise<void> {
  const cwd = await scratchFolder(t)
  const ports = ['--bootstrap-port', '0', '--http-port', '0', '--live-port', '0']
  const up = start(t, installed, ['up', '--hosts', '2', ...ports, '--json'], cwd)
  await untilSaid(up, 'Everything is up. Ctrl-C stops it.', 3 * PATIENCE_MS)
  assert.match(up.stderr, /✓ VERIFIED: 10 of 10 checks passed/)
  assert.match(up.stderr, /\[UP\] {3}gguf-swarm get shard-\d\.gguf /, 'said as it is called')
  const [, bootstrap = ''] = /Bootstrap node: DHT UDP (\S+)/.exec(up.stderr) ?? []
  const [, page = ''] = /✓ Page: (\S+)/.exec(up.stderr) ?? []
  const access = ['--bootstrap', bootstrap, '--bind', '127.0.0.1'] // the key is where it is looked for

  for (const path of ['/', '/page/main.js', '/vendor/preact.js', '/vendor/uplot.css', '/api/openapi.json']) {
    assert.equal((await fetch(new URL(path, page))).status, 200, path)
  }
  const got = await succeed(t, installed, ['get', 'shard-0.gguf', ...access, '--out', 'downloads'], cwd)
  const path = join(cwd, 'downloads/shard-0.gguf')
  assert.equal(got.stdout, `${path}\n`)
  const original = await readFile(join(ROOT, 'fixtures/shards/shard-0.gguf'))
  const sha256 = createHash('sha256').update(original).digest('hex')
  assert.ok(got.stderr.includes(sha256), got.stderr)
  assert.ok((await readFile(path)).equals(original))
  const magnet = (await succeed(t, installed, ['magnet', path], cwd)).stdout
  assert.match(magnet, /^magnet:\?xt=urn:btih:[0-9a-f]{40}&dn=shard-0\.gguf&/)
  const status = (await succeed(t, installed, ['status', ...access], cwd)).stdout
  assert.match(status, /2 hosts online, .*8 whole copies/)
  await succeed(t, installed, ['verify', ...access], cwd)
  await succeed(t, installed, ['key', 'other.key'], cwd)
  const recipe = await succeed(t, installed, ['recipe', 'aria2', 'shard-0.gguf', ...access], cwd)
  assert.ok(recipe.stdout.includes(magnet.trim()), recipe.stdout)
  assert.match((await succeed(t, installed, ['completion', 'bash'], cwd)).stdout, /complete .*gguf-swarm/)
  const doctor = await ended(start(t, installed, ['doctor', 'downloads', ...access], cwd))
  assert.ok(doctor.code === 0 || doctor.code === 1, doctor.stderr) // it may find what is wrong with this machine
  assert.match(doctor.stdout, /✓/)
  assert.equal((await up.stop()).code, 0)
}
