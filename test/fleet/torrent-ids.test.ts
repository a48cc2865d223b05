/** What is an id, and what a name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../../src/errors.ts'
import { isName, readIds } from '../../src/fleet/torrent-ids.ts'

const HEX = '0123456789abcdef0123456789abcdef01234567'

test('names of shards and models, and what is none', () => {
  for (const name of ['tiny-llama', 'X-00001-of-00004.gguf', 'größer als 1', '模型.gguf', 'deadbeef', '7B']) {
    assert.ok(isName(name), name)
  }
  const others = [
    HEX,
    HEX.toUpperCase(),
    ` ${HEX} `,
    HEX.slice(1),
    HEX.slice(0, 16),
    'a2345672'.repeat(4),
    `magnet:?xt=urn:btih:${HEX}`,
    'x.torrent',
    './x.gguf',
    'a\\b.gguf',
    '..',
    '',
    'a\nb',
    'x'.repeat(256),
  ]
  for (const other of others) assert.ok(!isName(other), other)
})

test('ids and names apart, each once', async () => {
  const { ids, names } = await readIds(['a.gguf', HEX, 'model', HEX.toUpperCase(), 'a.gguf'])
  assert.deepEqual([ids.map(({ infoHash }) => infoHash), names], [[HEX], ['a.gguf', 'model']])
  await assert.rejects(
    readIds(['a.gguf', HEX.slice(2)]),
    (error) => error instanceof UsageError && error.code === 'bad-id',
  )
})
