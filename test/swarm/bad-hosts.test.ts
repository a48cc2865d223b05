/** A host or a bootstrap that cannot start says why in one line, with the right exit code. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  ended,
  holdTcpPort,
  holdUdpPort,
  scratchFolder,
  startBootstrap,
  startHost,
  startQuietCli,
  theError,
} from '../helpers/swarm.ts'

interface Refusal {
  readonly code: number
  readonly error: string
  readonly names: readonly (string | number)[]
}

async function refuses(
  t: TestContext,
  args: readonly string[],
  { code, error, names }: Refusal,
): Promise<void> {
  const got = await ended(startQuietCli(t, [...args, '--json']))
  assert.equal(got.code, code, got.stderr)
  const { message, ...told } = theError(got)
  assert.equal(told.code, error, message)
  for (const name of names) assert.ok(message.includes(String(name)), `${message}\nlacks ${name}`)
  t.diagnostic(message)
}

test('a host that cannot start says why', { concurrency: 2 }, async (t) => {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  await writeFile(join(folder, 'file'), '')
  const { address: bootstrap } = await startBootstrap(t)
  const running = await startHost(t, join(folder, 'shards'), { bootstrap, home: join(folder, 'running') })
  await running.address()
  const tcp = await holdTcpPort(t)
  const udp = await holdUdpPort(t)
  let homes = 0
  const seed = (dir: string, ...args: string[]): readonly string[] => {
    const home = join(folder, `home-${homes++}`)
    const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', join(home, 'torrents')]
    return ['seed', dir, '--bind', '127.0.0.1', '--bootstrap', bootstrap, ...folders, ...args]
  }
  const shards = join(folder, 'shards')
  const state = join(folder, 'running', 'state')
  const rows: Record<string, { args: readonly string[] } & Refusal> = {
    'missing folder': {
      args: seed(join(folder, 'nowhere')),
      code: 2,
      error: 'bad-folder',
      names: [join(folder, 'nowhere'), 'make it'],
    },
    'a file for a folder': {
      args: seed(join(folder, 'file')),
      code: 2,
      error: 'bad-folder',
      names: [join(folder, 'file'), 'give the folder'],
    },
    'TCP port in use': {
      args: seed(shards, '--port', String(tcp)),
      code: 1,
      error: 'port-in-use',
      names: [tcp, 'TCP', '--port'],
    },
    'UDP port in use': {
      args: seed(shards, '--dht-port', String(udp)),
      code: 1,
      error: 'port-in-use',
      names: [udp, 'UDP', '--dht-port'],
    },
    'no such port': { args: seed(shards, '--port', '70000'), code: 2, error: 'bad-port', names: ['--port'] },
    'state folder in use': {
      args: ['seed', shards, '--bind', '127.0.0.1', '--bootstrap', bootstrap, '--state-dir', state],
      code: 1,
      error: 'locked',
      names: [state, running.cli.pid, '--state-dir'],
    },
    'bad bootstrap address': {
      args: ['seed', shards, '--bootstrap', 'localhost'],
      code: 2,
      error: 'bad-address',
      names: ["'localhost'", 'HOST:PORT'],
    },
    'bootstrap port in use': {
      args: ['bootstrap', '--bind', '127.0.0.1', '--port', String(udp), '--state-dir', join(folder, 'b')],
      code: 1,
      error: 'port-in-use',
      names: [udp, 'UDP', '--port'],
    },
    'option given twice': {
      args: seed(shards, '--state-dir', state),
      code: 2,
      error: 'usage',
      names: ['--state-dir', 'once'],
    },
    'torrents folder is a file': {
      args: [...seed(shards).slice(0, -1), join(folder, 'file')],
      code: 5,
      error: 'ENOTDIR',
      names: [join(folder, 'file'), 'choose another folder'],
    },
    'state folder below a file': {
      args: ['seed', shards, '--bind', '127.0.0.1', '--state-dir', join(folder, 'file', 'state')],
      code: 5,
      error: 'ENOTDIR',
      names: [join(folder, 'file'), 'choose another folder'],
    },
    'unknown option': {
      args: ['seed', shards, '--colour'],
      code: 2,
      error: 'usage',
      names: ['colour', '--help'],
    },
  }
  await Promise.all(
    Object.entries(rows).map(([name, { args, ...refusal }]) =>
      t.test(name, (t) => refuses(t, args, refusal)),
    ),
  )
  assert.equal((await running.cli.stop()).code, 0, 'the host that ran before still runs')
})
