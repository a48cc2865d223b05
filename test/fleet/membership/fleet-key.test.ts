/** Who belongs to a fleet: key files, names, and which fleet is joined when nothing is said. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  chooseFleet,
  createKeyFile,
  loadKeyFile,
  rendezvousOf,
  secretOf,
} from '../../../src/fleet/membership/fleet-key.ts'
import { afterTest } from '../../helpers/after-test.ts'
import { temporaryFolder } from '../../helpers/temp.ts'

const PRIVATE = { kind: 'private', bootstrap: [] } as const
const PUBLIC = { kind: 'public' } as const
const LINE = `gguf-swarm-key-1 ${'ab'.repeat(32)}`

async function inFolder(t: TestContext): Promise<string> {
  const folder = await temporaryFolder(t)
  const before = process.cwd()
  process.chdir(folder)
  afterTest(t, () => process.chdir(before))
  return folder
}

test('a new key is one line for its owner alone, is random, and is what is read back', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'deep', 'fleet.key')
  const made = await createKeyFile(file)
  assert.match(await readFile(file, 'utf8'), /^gguf-swarm-key-1 [0-9a-f]{64}\n$/)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.deepEqual(await loadKeyFile(file), made)
  assert.notEqual(rendezvousOf(await createKeyFile(join(folder, 'other.key'))), rendezvousOf(made))
})

test('a key is never replaced', async (t) => {
  const file = join(await temporaryFolder(t), 'fleet.key')
  await writeFile(file, 'something else')
  await assert.rejects(createKeyFile(file), { code: 'key-exists' })
  assert.equal(await readFile(file, 'utf8'), 'something else')
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => createKeyFile(`${file}2`)))
  assert.equal(
    results.filter(({ status }) => status === 'fulfilled').length,
    1,
    'one of five at the same time',
  )
})

test('what is no key is said to be none, and what to do', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'fleet.key')
  const bad = ['', '\n', 'ab'.repeat(32), `${LINE}0`, LINE.slice(0, -1), `${LINE}\n${LINE}`, LINE.toUpperCase(),
    LINE.replace('key-1', 'key-2'), `${LINE}${' '.repeat(100_000)}x`, '\0'.repeat(82)] // biome-ignore format: a table
  for (const text of bad) {
    await writeFile(file, text)
    await assert.rejects(loadKeyFile(file), { code: 'bad-key' }, JSON.stringify(text.slice(0, 100)))
  }
  for (const text of [LINE, `${LINE}\n`, `${LINE}\r\n`, ` ${LINE}\n\n`]) {
    await writeFile(file, text)
    assert.equal((await loadKeyFile(file)).kind, 'keyed', JSON.stringify(text))
  }
  await assert.rejects(loadKeyFile(join(folder, 'none')), {
    code: 'bad-key',
    message: /no such file.*gguf-swarm key/,
  })
  await assert.rejects(loadKeyFile(folder), { code: 'bad-key' })
  await assert.rejects(loadKeyFile('/dev/zero'), { code: 'bad-key' }, 'an endless file')
  if (process.getuid?.() !== 0) {
    await chmod(file, 0)
    await assert.rejects(loadKeyFile(file), { code: 'bad-key' })
  }
})

test('without options: the key where it stands by default, else the open fleet, and none on the public DHT', async (t) => {
  await inFolder(t)
  assert.deepEqual(await chooseFleet({ dht: PRIVATE }), { kind: 'open', name: 'default' })
  assert.equal(await chooseFleet({ dht: PUBLIC }), null)
  await mkdir('models_cache')
  await writeFile('models_cache/fleet.key', 'damaged')
  await assert.rejects(
    chooseFleet({ dht: PRIVATE }),
    { code: 'bad-key' },
    'no quiet fall back to the open fleet',
  )
  await writeFile('models_cache/fleet.key', LINE)
  for (const dht of [PRIVATE, PUBLIC]) assert.equal((await chooseFleet({ dht }))?.kind, 'keyed')
  assert.deepEqual(await chooseFleet({ fleet: 'lab', dht: PRIVATE }), { kind: 'open', name: 'lab' })
})

test('options: one fleet, with a name', async (t) => {
  const folder = await inFolder(t)
  const fleetKey = join(folder, 'k')
  await writeFile(fleetKey, LINE)
  assert.equal((await chooseFleet({ fleetKey, dht: PUBLIC }))?.kind, 'keyed')
  await assert.rejects(chooseFleet({ fleet: 'a', fleetKey, dht: PRIVATE }), { code: 'both-fleets' })
  for (const fleet of ['', '  ', 'x'.repeat(201)]) {
    await assert.rejects(chooseFleet({ fleet, dht: PRIVATE }), { code: 'bad-fleet' })
  }
})

test('secret and rendezvous are as docs/catalogue-protocol.md says', () => {
  const open = { kind: 'open', name: 'lab' } as const
  const secret = createHash('sha256').update('gguf-swarm open fleet lab').digest()
  assert.deepEqual(Buffer.from(secretOf(open)), secret)
  const mac = createHmac('sha256', secret).update('gguf-swarm rendezvous').digest('hex')
  assert.equal(rendezvousOf(open), mac.slice(0, 40))
  assert.notEqual(rendezvousOf({ kind: 'open', name: 'lab ' }), rendezvousOf(open))
})
