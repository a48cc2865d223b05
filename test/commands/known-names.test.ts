/** What commands leave for the tab key: when it is written, and what it never costs. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { HostShards, keepNames, rememberNames } from '../../src/commands/known-names.ts'
import type { FleetKey } from '../../src/fleet/membership/fleet-key.ts'
import type { KnownHost } from '../../src/fleet/membership/fleet-member.ts'
import { NAMES_FOLDER } from '../../src/manual/completion/kit.ts'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { afterTest } from '../helpers/after-test.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const KEY: FleetKey = { kind: 'open', name: 'x' }
/** Later than a command that goes on looks again. */
const A_WHILE_MS = 60_000

const shard = (name: string, digit = name.charCodeAt(0) % 10) => ({
  ...{ infoHash: String(digit).repeat(40), name, length: 5 },
  model: name.replace(/\.gguf$/, ''),
})

/** The user's cache folder for one test, and the words in the file of the fleet. */
async function cacheOf(t: TestContext): Promise<{ folder: string; words: () => Promise<readonly string[]> }> {
  const folder = await temporaryFolder(t)
  setVariable(t, 'XDG_CACHE_HOME', folder)
  const words = async (): Promise<readonly string[]> => {
    const names = join(folder, NAMES_FOLDER)
    const [file] = await readdir(names).catch(() => [])
    const text = file === undefined ? '' : await readFile(join(names, file), 'utf8')
    return text.split('\n').flatMap((line) => line.split('\t')[0] || [])
  }
  return { folder, words }
}

function setVariable(t: TestContext, name: string, value: string): void {
  const before = process.env[name]
  process.env[name] = value
  afterTest(t, () => {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  })
}

test('a command that goes on remembers what is new; the whole replaces, a part adds', async (t) => {
  const { words } = await cacheOf(t)
  t.mock.timers.enable({ apis: ['setInterval'] })
  let shards = [shard('a.gguf'), shard('b.gguf')]
  const untilKept = (word: string) =>
    until(async () => (await words()).includes(word), { timeoutMs: 5_000, what: word })
  {
    using _whole = keepNames(KEY, () => shards, { isPart: false })
    assert.deepEqual(await words(), [])
    t.mock.timers.tick(A_WHILE_MS)
    await untilKept('b.gguf')
    assert.ok((await words()).includes('a'), 'and its model')
  }
  shards = [shard('c.gguf')]
  using _part = keepNames(KEY, () => shards, { isPart: true })
  t.mock.timers.tick(A_WHILE_MS)
  await untilKept('c')
  assert.ok((await words()).includes('a.gguf'), 'what was known stays')
  await rememberNames(KEY, [])
  assert.ok((await words()).includes('c'), 'a fleet that is not met is no news of it')
  await rememberNames(KEY, [shard('d.gguf')])
  assert.deepEqual(await words(), ['d', 'd.gguf', shard('d.gguf').infoHash])
})

test('a folder that cannot be had costs nothing', async (t) => {
  const { folder } = await cacheOf(t)
  const file = join(folder, 'file')
  await writeFile(file, '')
  setVariable(t, 'XDG_CACHE_HOME', file)
  await rememberNames(KEY, [shard('a.gguf')])
  assert.deepEqual(await readdir(folder), ['file'])
})

test('a host knows its own shards, and those of the hosts that tell it', () => {
  const known = new HostShards()
  const names = (): readonly string[] => known.shards().map(({ name }) => name)
  const own = shard('own-00001-of-00002.gguf', 1)
  const infoHash = parseInfoHash(own.infoHash)
  const more = { magnet: '', pieceLength: 1, sha256: '', torrentFile: '' }
  known.onEvent({ event: 'seeding', file: 'x/own', ...own, infoHash, ...more })
  assert.equal(known.shards()[0]?.model, 'own')
  const theirs = new Map([own, shard('b.gguf', 2)].map((one) => [one.infoHash, one]))
  const host = { info: { hostId: 'h' }, shards: theirs } as unknown as KnownHost
  known.onHost(host, 'online')
  assert.deepEqual(names(), ['own-00001-of-00002.gguf', 'b.gguf'])
  known.onHost(host, 'left')
  known.onEvent({ event: 'withdrawn', file: 'x/own', infoHash, reason: '' })
  assert.deepEqual(names(), [])
})
