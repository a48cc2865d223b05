/**
 * The Dockerfile and the compose file without Docker: the steps of the first are done in a clean Debian made by
 * debootstrap, the services of the second are started in network namespaces, and a shard is fetched.
 * `npm run test:deploy`; takes minutes and some 400 MB of downloads, so it is no part of `npm test`.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { afterTest } from '../../helpers/after-test.ts'
import { type Host, skipWithout, testNetwork } from '../../helpers/netns.ts'
import { type AnyEvent, startProcess } from '../../helpers/process.ts'
import { program } from '../../helpers/requirements.ts'
import { temporaryFolder } from '../../helpers/temp.ts'
import { until } from '../../helpers/until.ts'
import { addNode, makeRoot } from './debian.ts'

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url))
const TIMEOUT_MS = 120_000

/** As every container has it: the compiler of the build asks there who it is. */
function mountProc(t: TestContext, root: string): void {
  execFileSync('mount', ['-t', 'proc', 'proc', join(root, 'proc')])
  afterTest(t, () => void execFileSync('umount', ['--lazy', join(root, 'proc')]))
}

interface Image {
  readonly root: string
  readonly env: Readonly<Record<string, string>>
  readonly workdir: string
  readonly user: string
  readonly entrypoint: readonly string[]
}

/** Does what the Dockerfile says, instruction by instruction. */
function build(root: string): Image {
  const text = readFileSync(join(CHECKOUT, 'deploy/docker/Dockerfile'), 'utf8')
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
  const building = {
    PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    NPM_CONFIG_REGISTRY: registry,
    // The authorities of this machine, which its registry may need.
    NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/ca-certificates.crt',
  }
  const image = {
    root,
    env: {} as Record<string, string>,
    workdir: '/',
    user: 'root',
    entrypoint: [] as string[],
  }
  for (const line of text.split('\n').filter((each) => /^[A-Z]+ /.test(each))) {
    const [, instruction, rest = ''] = /^(\w+) (.*)$/.exec(line) ?? []
    switch (instruction) {
      case 'FROM':
        assert.match(rest, /^node:24-bookworm-slim$/)
        break
      case 'WORKDIR':
        image.workdir = rest
        mkdirSync(join(root, rest), { recursive: true })
        break
      case 'COPY': {
        const paths = rest.split(' ')
        const target = join(root, image.workdir, paths.pop()!)
        for (const path of paths) {
          const to = paths.length > 1 || target.endsWith('/') ? join(target, path) : target
          mkdirSync(dirname(to), { recursive: true })
          cpSync(join(CHECKOUT, path), to, { recursive: true })
        }
        break
      }
      case 'RUN': {
        const { status, stdout, stderr } = spawnSync(
          'chroot',
          [root, 'sh', '-c', `cd ${image.workdir} && ${rest}`],
          { env: building, encoding: 'utf8' },
        )
        assert.equal(status, 0, `${rest}\n${stdout}${stderr}`)
        break
      }
      case 'ENV': {
        const [name, value] = rest.split('=') as [string, string]
        image.env[name] = value
        break
      }
      case 'USER':
        image.user = rest
        break
      case 'ENTRYPOINT':
        image.entrypoint = JSON.parse(rest) as string[]
        break
      case 'VOLUME':
      case 'CMD':
        break
      default:
        assert.fail(`the Dockerfile says ${instruction}, which this test does not know`)
    }
  }
  return image
}

/** The commands of the services, as the compose file has them. */
function services(): Readonly<Record<string, readonly string[]>> {
  const text = readFileSync(join(CHECKOUT, 'deploy/docker/compose.yaml'), 'utf8')
  const found = [...text.matchAll(/^ {2}(\w+):\n(?: {4}.*\n)*? {4}command: (\[.*\])$/gm)]
  return Object.fromEntries(found.map(([, name, command]) => [name!, JSON.parse(command!) as string[]]))
}

function start(t: TestContext, image: Image, host: Host, data: string, args: readonly string[]) {
  const { root, env, user, entrypoint } = image
  const home = join(root, data)
  mkdirSync(home, { recursive: true })
  execFileSync('chroot', [root, 'chown', '-R', user, data])
  const command = ['--userspec', user, root, '/bin/sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', data]
  return startProcess<AnyEvent & { readonly path: string; readonly url: string }>(
    t,
    'chroot',
    [...command, ...entrypoint, ...args],
    { netns: host.netns, env: { ...env, HOME: data, PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' } },
  )
}

test('an image as the Dockerfile makes it, a fleet as the compose file has it', {
  skip: skipWithout(program('debootstrap'), program('chroot')),
}, async (t) => {
  const root = join(await temporaryFolder(t), 'root')
  makeRoot(root)
  mountProc(t, root)
  addNode(root)
  execFileSync('chroot', [root, 'useradd', '--uid', '1000', '--create-home', 'node'])
  const image = build(root)
  const installed = join(root, 'usr/local/lib/node_modules/gguf-swarm')
  t.diagnostic(`${execFileSync('du', ['-sm', installed], { encoding: 'utf8' }).split('\t')[0]} MB`)
  assert.deepEqual(image.entrypoint, ['gguf-swarm'])

  const network = testNetwork(t)
  const { bootstrap, web, host } = services()
  const place = { bootstrap: network.host('bootstrap'), web: network.host('web'), get: network.host('get') }
  writeFileSync(join(root, 'etc/hosts'), `127.0.0.1 localhost\n${place.bootstrap.address} bootstrap\n`)
  cpSync(join(CHECKOUT, 'fixtures/shards'), join(root, 'models'), { recursive: true })

  start(t, image, place.bootstrap, '/data/bootstrap', bootstrap!)
  const page = start(t, image, place.web, '/data/web', web!)
  const hosts = ['one', 'two'].map((name) => {
    return start(t, image, network.host(name), `/data/${name}`, [...host!, '--name', name])
  })
  for (const one of hosts) {
    await until(() => one.stderr.includes('All torrent files registered'), {
      timeoutMs: TIMEOUT_MS,
      what: 'hosts',
    })
    assert.equal(JSON.parse(one.stderr.split('\n')[0]!).level, 'info', 'the log is JSON')
  }
  const isSeen = (name: string): boolean =>
    new RegExp(`\\b${name} \\([\\d.:]+\\) is online`).test(page.stderr)
  await until(() => ['one', 'two'].every(isSeen), {
    timeoutMs: TIMEOUT_MS,
    what: 'the page to see both hosts',
  })

  const get = ['get', 'shard-0.gguf', '--bootstrap', 'bootstrap:51820', '--json']
  const fetched = start(t, image, place.get, '/data/get', get)
  assert.deepEqual(await fetched.exited, { code: 0, signal: null }, fetched.stderr)
  for (const { path } of fetched.events().filter(({ event }) => event === 'done')) {
    const name = path.split('/').at(-1)!
    const [got, original] = await Promise.all([
      readFile(join(root, '/data/get', name)),
      readFile(join(CHECKOUT, 'fixtures/shards', name)),
    ])
    assert.equal(hash('sha256', got), hash('sha256', original))
  }
})
