/**
 * The units under a real systemd: a clean Debian is booted in a container, and what docs/deploy.md says is typed there.
 * A part of `npm run test:deploy`.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { afterTest } from '../../helpers/after-test.ts'
import { skipWithout } from '../../helpers/netns.ts'
import { program } from '../../helpers/requirements.ts'
import { temporaryFolder } from '../../helpers/temp.ts'
import { until } from '../../helpers/until.ts'
import { addNode, makeRoot } from './debian.ts'

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url))
const TIMEOUT_MS = 60_000
const UNITS = ['gguf-swarm-bootstrap', 'gguf-swarm-web', 'gguf-swarm-seed']
/** Where the checkout's `deploy` lies in the container. */
const HOME = '/root'
const CONFIG = `
[all]
bootstrap = ["127.0.0.1:51820"]
[bootstrap]
bind = "127.0.0.1"
[seed]
dir = ["/srv/models"]
`

/** The package as it is published, installed for everybody. */
async function install(t: TestContext, root: string): Promise<void> {
  const folder = await temporaryFolder(t)
  execFileSync('npm', ['pack', '--pack-destination', folder], { cwd: CHECKOUT, stdio: 'pipe' })
  const [tarball] = execFileSync('ls', [folder], { encoding: 'utf8' }).trim().split('\n')
  const prefix = ['--prefix', join(root, 'usr/local')]
  execFileSync('npm', ['install', '--global', ...prefix, join(folder, tarball!)], { stdio: 'pipe' })
}

/** What the document has a reader type, but for the last line, which goes on until it is stopped. */
function documented(): string {
  const text = readFileSync(join(CHECKOUT, 'docs/deploy.md'), 'utf8')
  const [, block = ''] = /^## systemd$.*?^```sh\n(.*?)^```/ms.exec(text) ?? []
  const lines = block.trimEnd().split('\n')
  assert.match(lines.at(-1)!, /^journalctl .*--follow$/)
  return lines.slice(0, -1).join('\n')
}

class Machine {
  readonly #pid: number

  private constructor(pid: number) {
    this.#pid = pid
  }

  /** Boots it, without a network but its own loopback; it is gone when the test ends. */
  static async boot(t: TestContext, root: string): Promise<Machine> {
    const options = ['--boot', '--register=no', '--keep-unit', '--private-network', '--console=pipe']
    const nspawn = spawn('systemd-nspawn', ['--directory', root, ...options], { stdio: 'ignore' })
    const ended = new Promise((resolve) => nspawn.once('exit', resolve))
    afterTest(t, async () => {
      nspawn.kill('SIGTERM') // shuts the container down
      await ended
    })
    const pid = await until(
      () => {
        const { stdout } = spawnSync('pgrep', ['--parent', String(nspawn.pid)], { encoding: 'utf8' })
        return Number(stdout.trim().split('\n')[0]) || undefined
      },
      { timeoutMs: TIMEOUT_MS, what: 'the container' },
    )
    const machine = new Machine(pid)
    await until(() => machine.try('systemctl is-system-running').stdout.trim() === 'running', {
      timeoutMs: TIMEOUT_MS,
      what: 'systemd',
    })
    return machine
  }

  try(command: string) {
    const inside = ['--target', String(this.#pid), '--all', '--wd=/', 'sh', '-c', `cd ${HOME} && ${command}`]
    const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    return spawnSync('nsenter', inside, { encoding: 'utf8', env: { PATH, HOME } })
  }

  run(command: string): string {
    const { status, stdout, stderr } = this.try(command)
    assert.equal(status, 0, `${command}\n${stdout}${stderr}`)
    return stdout
  }

  property(unit: string, name: string): string {
    return this.run(`systemctl show ${unit} --property ${name} --value`).trim()
  }

  /** The log of a unit since its last start. */
  log(unit: string): string {
    return this.run(`journalctl --no-pager _SYSTEMD_INVOCATION_ID=${this.property(unit, 'InvocationID')}`)
  }

  async logs(unit: string, words: string): Promise<void> {
    await until(() => this.log(unit).includes(words), {
      timeoutMs: TIMEOUT_MS,
      what: `${unit} to say: ${words}`,
    })
  }
}

const requirements = ['debootstrap', 'systemd-nspawn', 'nsenter'].map(program)

test('the units, as docs/deploy.md has them started', { skip: skipWithout(...requirements) }, async (t) => {
  const root = join(await temporaryFolder(t), 'root')
  makeRoot(root, ['systemd', 'systemd-sysv', 'dbus', 'procps'])
  addNode(root)
  await install(t, root)
  cpSync(join(CHECKOUT, 'deploy'), join(root, HOME, 'deploy'), { recursive: true })
  cpSync(join(CHECKOUT, 'fixtures/shards'), join(root, 'srv/models'), { recursive: true })
  writeFileSync(join(root, 'etc/gguf-swarm.toml'), CONFIG)
  const machine = await Machine.boot(t, root)

  await t.test('bootstrap, page and host start, and a shard is fetched', async () => {
    machine.run(documented())
    await machine.logs('gguf-swarm-seed', 'All torrent files registered')
    await machine.logs('gguf-swarm-web', 'is online')
    const users = UNITS.map((unit) =>
      machine.run(`ps -o user= -p ${machine.property(unit, 'MainPID')}`).trim(),
    )
    assert.ok(
      users.every((user) => user !== 'root'),
      users.join(', '),
    )
    machine.run('gguf-swarm get shard-0.gguf --quiet')
    const [got, original] = [join(root, HOME), join(CHECKOUT, 'fixtures/shards')].map((folder) =>
      hash('sha256', readFileSync(join(folder, 'shard-0.gguf'))),
    )
    assert.equal(got, original)
  })

  await t.test('a host that is killed is started again, and hashes nothing anew', async () => {
    const hostId = /host id: \w+/.exec(machine.log('gguf-swarm-seed'))?.[0]
    machine.run('systemctl kill --signal KILL gguf-swarm-seed')
    await until(() => machine.property('gguf-swarm-seed', 'NRestarts') === '1', {
      timeoutMs: TIMEOUT_MS,
      what: 'a restart',
    })
    await machine.logs('gguf-swarm-seed', 'All torrent files registered')
    assert.equal(/host id: \w+/.exec(machine.log('gguf-swarm-seed'))?.[0], hostId)
  })

  await t.test('each stops by itself when asked', () => {
    machine.run(`systemctl stop ${UNITS.join(' ')}`)
    for (const unit of UNITS) {
      assert.equal(machine.property(unit, 'Result'), 'success', unit)
      assert.equal(machine.property(unit, 'ExecMainStatus'), '0', unit)
    }
  })

  await t.test('the key of a fleet, readable for root alone, reaches those that need it', async () => {
    mkdirSync(join(root, 'etc/gguf-swarm'))
    machine.run('gguf-swarm key /etc/gguf-swarm/fleet.key')
    for (const unit of ['gguf-swarm-seed', 'gguf-swarm-web']) {
      const folder = `/etc/systemd/system/${unit}.service.d`
      machine.run(`mkdir ${folder} && cp deploy/systemd/fleet-key.conf ${folder}/`)
    }
    machine.run(`systemctl daemon-reload && systemctl start ${UNITS.join(' ')}`)
    await machine.logs('gguf-swarm-seed', 'Member of the fleet of the key')
    await machine.logs('gguf-swarm-web', 'is online')
  })

  await t.test('what is wrong with the configuration is said, and not tried again', async () => {
    writeFileSync(join(root, 'etc/gguf-swarm.toml'), '[seed]\ndirr = "/srv/models"\n')
    machine.try('systemctl restart gguf-swarm-seed')
    await machine.logs(
      'gguf-swarm-seed',
      'gguf-swarm.toml:2: dirr: seed has no such option; did you mean dir?',
    )
    await until(() => machine.property('gguf-swarm-seed', 'ActiveState') === 'failed', {
      timeoutMs: TIMEOUT_MS,
      what: 'the end',
    })
    assert.equal(machine.property('gguf-swarm-seed', 'ExecMainStatus'), '2')
  })
})
