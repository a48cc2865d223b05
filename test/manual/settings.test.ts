/** Configuration file and environment: what can be set, who is heard, and what is said of mistakes. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { MANUALS } from '../../src/commands/all.ts'
import { ALTERNATIVES } from '../../src/commands/options.ts'
import { UsageError } from '../../src/errors.ts'
import { variableOf } from '../../src/manual/environment.ts'
import { loadSettings } from '../../src/manual/load.ts'
import { type Parameter, settable } from '../../src/manual/manual.ts'
import { PRECEDENCE } from '../../src/manual/settings.ts'
import { temporaryFolder } from '../helpers/temp.ts'

interface Given {
  readonly argv?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly toml?: string
}

/** Settings of `seed` unless `argv` names another command, with a file of this text. */
async function load(t: TestContext, { argv = ['seed'], environment = {}, toml = '' }: Given) {
  const path = join(await temporaryFolder(t), 'test.toml')
  await writeFile(path, toml)
  const options = {
    argv: [...argv, '--config', path],
    environment,
    manuals: MANUALS,
    alternatives: ALTERNATIVES,
  }
  const { settings } = await loadSettings(options)
  return {
    value: (name: string) => settings.get(name)?.value,
    source: (name: string) => settings.get(name)?.source.replace(path, 'test.toml'),
    names: [...settings.keys()].sort(),
  }
}

async function refusal(t: TestContext, given: Given): Promise<string> {
  const error = await load(t, given).then(
    () => assert.fail('not refused'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof UsageError, String(error))
  return error.message.replace(/\S*test\.toml/, 'test.toml')
}

const SAMPLES = { string: 'x', number: 7, boolean: true } as const
const sampleOf = ({ kind, choices, isList }: Parameter): unknown => {
  const value = choices[0] ?? SAMPLES[kind]
  return isList ? [value, value] : value
}

test('every option of every command can be set in the file and in the environment', async (t) => {
  for (const manual of MANUALS) {
    for (const parameter of settable(manual)) {
      const { name } = parameter
      const sample = sampleOf(parameter)
      const argv = [manual.name]
      const text = [sample].flat().join(',')
      const ways: Record<string, Given> = {
        table: { argv, toml: `[${manual.name}]\n${name} = ${JSON.stringify(sample)}\n` },
        // One folder is a list, too; a list is no folder of `up`.
        top: { argv, toml: `${name} = ${JSON.stringify(name === 'dir' ? 'x' : sample)}\n` },
        own: { argv, environment: { [variableOf(name, manual.name)]: text } },
        all: { argv, environment: { [variableOf(name)]: text } },
      }
      for (const [way, given] of Object.entries(ways)) {
        const wanted = way === 'top' && name === 'dir' && parameter.isList ? ['x'] : sample
        assert.deepEqual((await load(t, given)).value(name), wanted, `${manual.name} ${name}, ${way}`)
      }
    }
  }
})

test('who is heard first', async (t) => {
  const toml = 'dht-port = 5\n[seed]\ndht-port = 4\n'
  const places: Given[] = [
    { environment: { GGUF_SWARM_SEED_DHT_PORT: '2', GGUF_SWARM_DHT_PORT: '3' }, toml },
    { environment: { GGUF_SWARM_DHT_PORT: '3' }, toml },
    { toml },
    { toml: 'dht-port = 5\n[web]\ndht-port = 4\n' },
    { toml: '' },
  ]
  const settings = await Promise.all(places.map((place) => load(t, place)))
  assert.deepEqual(
    settings.map(({ value }) => value('dht-port')),
    [2, 3, 4, 5, undefined],
  )
  assert.deepEqual(
    settings.map(({ source }) => source('dht-port')),
    ['GGUF_SWARM_SEED_DHT_PORT', 'GGUF_SWARM_DHT_PORT', 'test.toml:3', 'test.toml:1', undefined],
  )
  const text = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  const rows = PRECEDENCE.map(({ place, example }, index) => `| ${index + 1} | ${place} | \`${example}\` |`)
  assert.ok(
    text.includes(rows.join('\n')),
    `docs/configuration.md has another table than\n${rows.join('\n')}`,
  )
})

test('files shown in the documents are good ones', async (t) => {
  const folder = new URL('../../docs/', import.meta.url)
  const texts = await Promise.all(
    (await readdir(folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => readFile(new URL(name, folder), 'utf8')),
  )
  const files = texts.flatMap((text) =>
    [...text.matchAll(/```toml\n(.*?)```/gs)].map(([, file = '']) => file),
  )
  assert.ok(files.some((file) => file.includes('[bootstrap]')))
  for (const toml of files) await load(t, { toml })
})

test('the table of all commands: what stands there is as if above all tables, whatever its name', async (t) => {
  const toml =
    '[all]\nbootstrap = "10.0.0.1:51820"\ndht-port = 5\n[bootstrap]\nport = 7\n[web]\ndht-port = 4\n'
  const { value, source } = await load(t, { toml })
  assert.deepEqual(
    [value('bootstrap'), value('dht-port'), source('dht-port')],
    [['10.0.0.1:51820'], 5, 'test.toml:3'],
  )
  assert.equal((await load(t, { argv: ['bootstrap'], toml })).value('port'), 7)
  assert.equal((await load(t, { argv: ['web'], toml })).value('dht-port'), 4)
  assert.equal(
    await refusal(t, { toml: 'dht-port = 1\n[all]\ndht-port = 1\n' }),
    'test.toml:3: dht-port: set in [all] and above all tables; once is enough',
  )
  assert.match(await refusal(t, { toml: '[all]\nprot = 1\n' }), /^test\.toml:2: prot: no command has/)
  assert.match(
    await refusal(t, { toml: 'bootstrap = "10.0.0.1:51820"\n[bootstrap]\nport = 7\n' }),
    /^test\.toml:2: .*put the option into \[all\]$/,
  )
})

test('of two options that exclude each other, the one from the higher place stands alone', async (t) => {
  const toml = 'bootstrap = ["10.0.0.1:51820"]\nfleet-key = "k"\n'
  assert.deepEqual((await load(t, { toml })).names, ['bootstrap', 'fleet-key'])
  assert.deepEqual((await load(t, { argv: ['seed', '--public'], toml })).names, ['fleet-key'])
  assert.deepEqual((await load(t, { environment: { GGUF_SWARM_FLEET: 'f' }, toml })).names, [
    'bootstrap',
    'fleet',
  ])
  // A switch that is off chooses nothing.
  assert.deepEqual(
    (await load(t, { environment: { GGUF_SWARM_PUBLIC: 'false' }, toml })).value('bootstrap'),
    ['10.0.0.1:51820'],
  )
})

test('values of the environment are text, those of the file have types', async (t) => {
  const environment = {
    GGUF_SWARM_WANT: 'Llama-3*, Qwen*',
    GGUF_SWARM_REPLICATE: 'Yes',
    GGUF_SWARM_NAME: '',
    GGUF_SWARM_DIR: '~/models',
  }
  const { value } = await load(t, { environment })
  assert.deepEqual(value('want'), ['Llama-3*', 'Qwen*'])
  assert.equal(value('replicate'), true)
  assert.equal(value('name'), undefined, 'an empty one is not set')
  assert.deepEqual(value('dir'), [join(homedir(), 'models')])
  const one = await load(t, { toml: 'want = "Llama-3*"' })
  assert.deepEqual(one.value('want'), ['Llama-3*'], 'a list of one needs no brackets')
})

test('mistakes are told with file, line and a guess; nothing in quotes is repeated', async (t) => {
  const said = async (toml: string, argv = ['seed']): Promise<string> => refusal(t, { argv, toml })
  assert.equal(
    await said('\n[seed]\ndht_prot = 1'),
    'test.toml:3: dht_prot: seed has no such option; did you mean dht-port?',
  )
  assert.equal(
    await said('dhtPort = 1'),
    'test.toml:1: dhtPort: no command has such an option; did you mean dht-port?',
  )
  assert.equal(
    await said('[sed]\nport = 1'),
    'test.toml:1: [sed]: there is no such command; did you mean seed?',
  )
  assert.equal(await said('port = "1"'), 'test.toml:1: port takes a number')
  assert.equal(await said('# \nseed = { name = 5 }'), 'test.toml:2: name takes a text; put it in quotes')
  assert.equal(await said('seed.public = "yes"'), 'test.toml:1: public takes true or false')
  assert.equal(await said('port = [1]'), 'test.toml:1: port takes one value, not a list')
  assert.equal(await said('fleet-key = { secret = 1 }'), 'test.toml:1: [fleet-key]: there is no such command')
  assert.equal(
    await said('log-format = "jsno"'),
    'test.toml:1: log-format takes pretty or json; did you mean json?',
  )
  // Another command's table is checked too: a file is right or wrong, whoever reads it.
  assert.equal(await said('[web]\nport = true', ['status']), 'test.toml:2: port takes a number')
  for (const secret of [
    'name = "s3cret" x',
    'name = "s3cret\n',
    'port = "s3cret"',
    '[seed]\nname = ["s3cret", 1]',
  ]) {
    assert.doesNotMatch(await said(secret), /s3cret/)
  }
  const environment = { GGUF_SWARM_HTTPPORT: 's3cret' }
  assert.match(
    await refusal(t, { environment }),
    /^GGUF_SWARM_HTTPPORT: .*; did you mean GGUF_SWARM_HTTP_PORT\?/,
  )
  const wrong = await refusal(t, { environment: { GGUF_SWARM_PORT: 's3cret' } })
  assert.equal(wrong, 'GGUF_SWARM_PORT takes a number')
})

test('paths of Windows', async (t) => {
  const { value } = await load(t, { toml: 'dir = \'C:\\models\'\nname = "a\\\\b"\n' })
  assert.deepEqual([value('dir'), value('name')], [['C:\\models'], 'a\\b'])
  assert.match(await refusal(t, { toml: 'dir = "C:\\models"' }), /^test\.toml:1: .*in single quotes/)
  // A list in the environment is cut at commas, never at the colon of a drive.
  const { value: listed } = await load(t, {
    argv: ['verify'],
    environment: { GGUF_SWARM_LOG: 'C:\\a.log,D:\\b.log' },
  })
  assert.deepEqual(listed('log'), ['C:\\a.log', 'D:\\b.log'])
})

test('a file that is named must be there, and --no-config goes without', async (t) => {
  const base = { environment: { GGUF_SWARM_PORT: 'x' }, manuals: MANUALS, alternatives: ALTERNATIVES }
  const { settings } = await loadSettings({ ...base, argv: ['--no-config', 'seed'] })
  assert.equal(settings.size, 0)
  const missing = join(await temporaryFolder(t), 'none.toml')
  const byVariable = { ...base, environment: { GGUF_SWARM_CONFIG: missing } }
  await assert.rejects(loadSettings({ ...byVariable, argv: ['seed'] }), /none\.toml/)
  await assert.rejects(loadSettings({ ...base, argv: ['seed', `--config=${missing}`] }), /none\.toml/)
})
