/** The doctor: what it finds where something is wrong, and what it advises. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { renderFindings } from '../../src/commands/doctor.ts'
import { checkShards, checkWritable } from '../../src/fleet/doctor/disk.ts'
import { examine } from '../../src/fleet/doctor/doctor.ts'
import {
  checkClock,
  checkNode,
  checkOpenFiles,
  checkWatches,
  MINIMUM_NODE,
} from '../../src/fleet/doctor/machine.ts'
import { checkAddress, checkDht, checkPort } from '../../src/fleet/doctor/ports.ts'
import { startCli } from '../helpers/process.ts'
import { holdTcpPort, holdUdpPort, startBootstrap } from '../helpers/swarm.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const signal = new AbortController().signal

test('Node', async () => {
  const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  assert.equal(manifest.engines.node, `>=${MINIMUM_NODE.join('.')}`)
  assert.equal(checkNode('24.11.0').verdict, 'ok')
  assert.equal(checkNode('20.18.3').verdict, 'fail')
  assert.match(checkNode('18.20.1').fix ?? '', /install Node/)
})

test('limits of files and watches', async (t) => {
  const limits = (soft: string): string =>
    `Limit  Soft  Hard  Units\nMax open files            ${soft}   4096   files\n`
  assert.equal(checkOpenFiles(limits('1024'), 500).verdict, 'ok')
  assert.equal(checkOpenFiles(limits('unlimited'), 500).verdict, 'ok')
  assert.equal(checkOpenFiles(null, 500).verdict, 'note')
  const low = checkOpenFiles(limits('256'), 500)
  assert.deepEqual([low.verdict, low.found], ['fail', '256 allowed, 756 needed for 500 connections'])
  assert.match(low.fix ?? '', /ulimit -n 1512/)

  const folder = await temporaryFolder(t)
  const [shards, proc] = [join(folder, 'shards'), join(folder, 'proc')]
  await mkdir(join(shards, 'a', 'b'), { recursive: true })
  await mkdir(proc)
  for (let index = 0; index < 20; index++) await writeFile(join(shards, 'a', `${index}.gguf`), '')
  const watches = async (allowed: string) => {
    await writeFile(join(proc, 'max_user_watches'), allowed)
    return checkWatches([shards], proc)
  }
  assert.equal((await watches('1000\n')).verdict, 'ok')
  assert.equal((await watches('30\n')).verdict, 'note')
  const few = await watches('20\n')
  assert.equal(few.verdict, 'fail')
  assert.match(few.found, /^20 allowed .*, 23 needed/)
  assert.match(few.fix ?? '', /max_user_watches=64/)
  assert.equal((await checkWatches([shards], join(folder, 'none'))).verdict, 'note')
})

test('a clock that is long over, that jumps, or that was in the future', async (t) => {
  const state = await temporaryFolder(t)
  assert.equal((await checkClock(state)).verdict, 'ok')
  assert.match((await checkClock(state, () => 1_000)).found, /long over/)
  let calls = 0
  const jumping = (): number => Date.now() + 3_000 * calls++
  const jumped = await checkClock(state, jumping)
  assert.deepEqual([jumped.verdict, /jumped by/.test(jumped.found)], ['fail', true], jumped.found)
  await writeFile(join(state, 'host.json'), '')
  await utimes(join(state, 'host.json'), new Date(), new Date(Date.now() + 3_600_000))
  assert.equal((await checkClock(state)).verdict, 'note')
})

test('folders', async (t) => {
  const folder = await temporaryFolder(t)
  assert.equal((await checkShards(folder)).verdict, 'ok')
  assert.match((await checkShards(join(folder, 'none'))).fix ?? '', /mkdir -p/)
  await writeFile(join(folder, 'file'), '')
  assert.equal((await checkShards(join(folder, 'file'))).verdict, 'fail')
  const deep = await checkWritable('state', 'State', join(folder, 'not', 'there', 'yet'))
  assert.notEqual(deep.verdict, 'fail', deep.found)
  assert.deepEqual(await readdir(folder), ['file'], 'nothing is left behind')
  assert.equal((await checkWritable('state', 'State', join(folder, 'file', 'below'))).verdict, 'fail')
})

const root = process.getuid?.() === 0 ? 'root may write everywhere' : false

test('a folder that must not be written', { skip: root }, async (t) => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o555)
  assert.equal((await checkWritable('state', 'State', folder)).verdict, 'fail')
})

test('ports', async (t) => {
  const [tcpPort, udpPort] = [await holdTcpPort(t), await holdUdpPort(t)]
  const wanted = { bind: '127.0.0.1', option: '--port', purpose: 'tests' } as const
  const check = (protocol: 'TCP' | 'UDP', port: number, isRequired = true, bind = '127.0.0.1') =>
    checkPort({ ...wanted, bind, protocol, port, isRequired })
  for (const finding of [await check('TCP', tcpPort), await check('UDP', udpPort)]) {
    assert.deepEqual([finding.verdict, finding.found], ['fail', 'in use; it is meant for tests'])
    assert.match(finding.fix ?? '', /--port/)
  }
  assert.equal((await check('TCP', tcpPort, false)).verdict, 'note')
  assert.equal((await check('TCP', 0)).verdict, 'ok')
  assert.equal((await check('UDP', 0)).verdict, 'ok')
  assert.match((await check('TCP', 0, true, '192.0.2.1')).found, /no address of this machine/)
})

test('the DHT and the way to it', async (t) => {
  const bootstrap = await startBootstrap(t)
  const ports = [bootstrap.port, await holdUdpPort(t)]
  const [there, nobody] = ports.map((port) => ({ host: '127.0.0.1', port }))
  assert.equal((await checkDht([there!], false, signal)).verdict, 'ok')
  const half = await checkDht([there!, nobody!], false, signal)
  assert.deepEqual([half.verdict, /silent: 127/.test(half.found)], ['note', true])
  const none = await checkDht([nobody!], false, signal)
  assert.match(none.fix ?? '', /run `gguf-swarm bootstrap` on this machine/)
  const far = await checkDht([{ host: 'no-such-host.invalid', port: 51820 }], false, signal)
  assert.match(far.fix ?? '', /UDP 51820 to 51832/)
  const privateDht = { kind: 'private', bootstrap: [there!] } as const
  assert.equal((await checkAddress(privateDht, [], there!)).verdict, 'note')
  assert.equal((await checkAddress(privateDht, ['10.0.0.9:6881'], there!)).verdict, 'ok')
})

test('one finding, one line and its advice; a failure decides the exit code', async (t) => {
  const about = { id: 'a', title: 'Node' } as const
  const lines = renderFindings(
    [
      { ...about, verdict: 'ok', found: '24', fix: null },
      { ...about, title: 'Open files', verdict: 'fail', found: 'few\x1b', fix: 'more' },
    ],
    80,
    false,
  )
  assert.deepEqual(lines, ['✓ Node        24', '✗ Open files  few\\x1b', '              → more'])

  const long = renderFindings(
    [{ ...about, verdict: 'fail', found: 'a '.repeat(60), fix: 'b '.repeat(60) }],
    60,
    true,
  )
  assert.ok(long.length > 3)
  assert.ok(long.every((line) => line.length <= 60 + '\x1b[31m\x1b[39m'.length))
  assert.ok(long.slice(1).every((line) => line.startsWith(' '.repeat(8))))

  const folder = await temporaryFolder(t)
  const bootstrap = await startBootstrap(t)
  const state = ['--state-dir', join(folder, 's'), '--torrents-dir', join(folder, 't')]
  const well = startCli(t, ['doctor', folder, '--bootstrap', bootstrap.address, ...state, '--json'])
  assert.deepEqual(await well.exited, { code: 0, signal: null }, well.stdout)
  const last = well.events().at(-1) as unknown as { readonly event: string; readonly ok: boolean }
  assert.deepEqual([last.event, last.ok], ['doctor', true])
  // What is set for `seed` is what is examined.
  const env = { GGUF_SWARM_SEED_DIR: join(folder, 'none') }
  const ill = startCli(t, ['doctor', '--bootstrap', bootstrap.address, ...state], { env })
  assert.equal((await ill.exited).code, 1)
  assert.match(ill.stdout, /✗ Shards +\S+none is not there/)
  assert.match(ill.stderr, /1 of \d+ checks failed: Shards/)
})

test('everything at once', async (t) => {
  const folder = await temporaryFolder(t)
  const findings = await examine(
    {
      folders: [folder],
      stateDir: folder,
      torrentsDir: folder,
      bind: '127.0.0.1',
      port: 1,
      dhtPort: null,
      dht: { kind: 'private', bootstrap: [{ host: '127.0.0.1', port: 1 }] },
      advertise: [],
      maxConns: 500,
    },
    signal,
  )
  const ids = findings.map(({ id }) => id)
  const wanted = [
    'node',
    'open-files',
    'file-watches',
    'clock',
    'shards',
    'state',
    'torrents',
    'port-port',
    'address',
    'dht',
  ]
  for (const id of wanted) assert.ok(ids.includes(id), `${id} of ${ids.join(' ')}`)
  for (const { verdict, fix, title } of findings) assert.ok(verdict !== 'fail' || fix !== null, title)
})
