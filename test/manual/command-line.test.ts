/** The command line as people meet it: real processes, their words and their exit codes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { MANUALS } from '../../src/commands/all.ts'
import { commandOf } from '../../src/manual/load.ts'
import { nearest } from '../../src/manual/suggest.ts'
import { usageError } from '../../src/manual/usage-errors.ts'
import { CLI, type StartOptions, startCli } from '../helpers/process.ts'
import { ROOT_USER, skipUnless } from '../helpers/requirements.ts'
import { temporaryFolder } from '../helpers/temp.ts'

async function run(t: TestContext, args: readonly string[], options: StartOptions = {}) {
  const cli = startCli(t, args, options)
  const { code } = await cli.exited
  return { code, stdout: cli.stdout, stderr: cli.stderr }
}

test('did you mean', () => {
  const names = ['port', 'dht-port', 'http-port', 'bootstrap', 'bootstrap-port', 'public', 'want']
  const guesses = { prot: 'port', dhtport: 'dht-port', DHT_PORT: 'dht-port', boot: 'bootstrap', wnat: 'want' }
  for (const [typed, meant] of Object.entries(guesses)) assert.equal(nearest(typed, names), meant, typed)
  for (const typed of ['x', 'frobnicate', '']) assert.equal(nearest(typed, names), undefined, typed)
})

test('what yargs finds wrong is said so that it helps', () => {
  const said = (message: string, ...argv: string[]): string => {
    const manual = MANUALS.find(({ name }) => name === argv[0])
    return usageError(message, { argv, manual, manuals: MANUALS }).message.split('\n')[0]!
  }
  const cases: readonly (readonly [message: string, argv: readonly string[], said: string])[] = [
    ['Unknown argument: sed', ['sed'], "there is no command 'sed'; did you mean seed?"],
    ['Unknown argument: prot', ['seed', '--prot', '5'], 'seed has no option --prot; did you mean --port?'],
    ['Unknown arguments: p, o, r, t', ['seed', '-port'], 'there is no option -port; did you mean --port?'],
    ['Unknown argument: x', ['web', 'x'], "web takes no 'x'; write gguf-swarm web"],
    ['Not enough arguments following: port', ['seed', '--port'], '--port: give a value after it'],
    [
      'Invalid values:\n  Argument: log-format, Given: "jsno", Choices: "pretty", "json"',
      ['seed', '--log-format', 'jsno'],
      "--log-format: 'jsno' is none of pretty, json; did you mean json?",
    ],
  ]
  for (const [message, argv, expected] of cases) assert.equal(said(message, ...argv), expected)
})

test('wrong usage, whatever language the machine speaks', { concurrency: 2 }, async (t) => {
  const env = { LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8' }
  for (const [args, words] of [
    [[], /^gguf-swarm: give a command/],
    [['sed'], /no command 'sed'; did you mean seed\?/],
    [['seed', '--port', 'abc'], /--port: give a number/],
    [['status', '--bind', 'a', '--bind', 'b'], /--bind is given 2 times/],
  ] as const) {
    const { code, stderr, stdout } = await run(t, args, { env })
    assert.deepEqual([code, stdout], [2, ''], args.join(' '))
    assert.match(stderr, words)
  }
})

test('a file in this folder is read; an error names it; what it sets is not shown', async (t) => {
  const cwd = await temporaryFolder(t)
  const path = join(cwd, 'gguf-swarm.toml')
  await writeFile(path, '[seed]\ndir = "s3cret"\nmax-conns = 0\n[key]\nlog-format = "json"\nquiet = true\n')
  const bad = await run(t, ['seed'], { cwd })
  assert.equal(bad.code, 2)
  assert.match(bad.stderr, /--max-conns: .*\n\(--max-conns is set in gguf-swarm\.toml:3\)/)
  const help = await run(t, ['seed', '--help'], { cwd, env: { COLUMNS: '200' } })
  assert.match(help.stdout, /dir .*\[default: set in gguf-swarm\.toml:2\]/)
  assert.doesNotMatch(help.stdout, /s3cret/)
  const first = await run(t, ['key', 'a.key'], { cwd })
  assert.deepEqual(first, { code: 0, stdout: 'a.key\n', stderr: '' }, 'quiet')
  const again = await run(t, ['key', 'a.key'], { cwd })
  const { time, ...line } = JSON.parse(again.stderr)
  assert.ok(Date.parse(time) > 0)
  assert.deepEqual([line.level, line.code], ['error', 'key-exists'])
  const loud = await run(t, ['key', 'b.key', '--no-quiet'], { cwd })
  const lines = loud.stderr
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text))
  assert.deepEqual(
    lines.map(({ level, area }) => [level, area]),
    [
      ['info', 'fleet'],
      ['info', 'fleet'],
    ],
  )
})

test("another user's file in this folder is not read unasked", {
  skip: skipUnless(ROOT_USER), // to give a file to somebody else
}, async (t) => {
  const cwd = await temporaryFolder(t)
  await writeFile(join(cwd, 'gguf-swarm.toml'), 'quiet = true\n')
  await chown(join(cwd, 'gguf-swarm.toml'), 65_534, 65_534)
  const { code, stderr } = await run(t, ['key', 'a.key'], { cwd })
  assert.equal(code, 2)
  assert.match(stderr, /belongs to another user/)
  assert.equal((await run(t, ['key', 'a.key', '--config', 'gguf-swarm.toml'], { cwd })).code, 0)
  assert.equal((await run(t, ['key', 'b.key', '--no-config'], { cwd })).code, 0)
})

test('readers that go early are no error', async () => {
  for (const stream of ['stdout', 'stderr'] as const) {
    const args = stream === 'stdout' ? ['--help'] : ['sed']
    const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let words = ''
    child[stream].destroy()
    child[stream === 'stdout' ? 'stderr' : 'stdout'].on('data', (text) => {
      words += text
    })
    await once(child, 'close')
    assert.doesNotMatch(words, /EPIPE|Error/, stream)
    assert.equal(child.signalCode, null)
  }
})

test('a host whose reader goes stops as gracefully as any', async (t) => {
  const home = await temporaryFolder(t)
  const shards = join(home, 'shards')
  await mkdir(shards)
  // Enough of them for some to be told while it stops.
  const names = Array.from({ length: 100 }, (_, at) => `m${at}.gguf`)
  await Promise.all(names.map((name) => copyFile('fixtures/shards/shard-3.gguf', join(shards, name))))
  const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', join(home, 'torrents')]
  const args = ['seed', shards, '--bind', '127.0.0.1', '--bootstrap', '127.0.0.1:9', '--json', ...folders]
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let words = ''
  child.stderr.on('data', (text) => {
    words += text
  })
  child.stdout.on('data', (text) => {
    if (String(text).includes('"seeding"')) child.stdout.destroy()
  })
  const [code, signal] = await once(child, 'close')
  assert.deepEqual([code, signal], [0, null], words)
})

test('options may stand before what they are options of', async (t) => {
  const magnet = await run(t, ['magnet', '--bootstrap', '127.0.0.1:9', 'fixtures/shards/shard-0.gguf'])
  assert.equal(magnet.code, 0, magnet.stderr)
  assert.match(magnet.stdout, /^magnet:/)
  const name = (...argv: readonly string[]) => commandOf(argv, MANUALS)?.name
  assert.equal(name('--port', '6881', 'seed'), 'seed')
  assert.equal(name('-q', '--no-color', '--fleet=web', 'get', 'status'), 'get')
  assert.equal(name('--config', 'web', 'seed'), 'seed')
  assert.equal(name('sed'), undefined)
})

test('where an option is set is told of that option alone', async (t) => {
  const cwd = await temporaryFolder(t)
  await writeFile(join(cwd, 'gguf-swarm.toml'), '[seed]\nfleet = "x"\nreplicate = true\n')
  const { stderr } = await run(t, ['seed'], { cwd })
  assert.match(stderr, /--fleet-key FILE/)
  assert.match(stderr, /\(--replicate is set in gguf-swarm\.toml:3\)/)
  assert.doesNotMatch(stderr, /--fleet is set/)
})

test('help fits a narrow terminal, and has no colour codes in a pipe', async (t) => {
  for (const { name } of MANUALS) {
    const { code, stdout } = await run(t, [name, '--help'])
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, new RegExp(String.fromCharCode(27)))
    assert.ok(
      stdout.split('\n').every((line) => line.length <= 100),
      name,
    )
  }
})
