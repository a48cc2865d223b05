/** Names of files that come from strangers: what may become a path here, and which two are one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import bencode from 'bencode'
import { isShardName, shardNameProblem } from '../../src/library/shard-name.ts'
import { nameProblem, twinKey } from '../../src/metainfo/file-name.ts'
import { parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { offerProblem } from '../../src/swarm/catalogue/catalogue-codec.ts'
import { shardOf } from '../swarm-unit/catalogue-kit.ts'

/** Names that lead elsewhere, or are not what they look like. */
const BAD_NAMES: readonly string[] = [
  '',
  '.',
  '..',
  '../up.gguf',
  '/etc/passwd.gguf',
  'sub/x.gguf',
  '..\\up.gguf',
  'C:\\x.gguf',
  '\\\\server\\share\\x.gguf',
  'x\0.gguf',
  'x\n.gguf',
  'x\u001b[2J.gguf',
  'con.gguf',
  'NUL.gguf',
  'aux',
  'Com1.b.gguf',
  'lpt¹.gguf',
  'conout$.gguf',
  'x.gguf.',
  'x.gguf ',
  'x.gguf..',
  'harmless\u202efugg.gguf',
  'x\u2066\u2069.gguf',
  'x\u200b.gguf',
  '\ufeffx.gguf',
  'x\u200f.gguf',
  `${'é'.repeat(126)}.gguf`,
]

const GOOD_NAMES = [
  'a.gguf',
  'Llama-3 8B (Q4_K_M).gguf',
  'Größe-é.gguf',
  '模型.gguf',
  'नमूना\u200d.gguf',
  'connect.gguf',
]

test('no such name becomes a file: not from a .torrent, nor from a catalogue, nor from the disk', () => {
  for (const name of BAD_NAMES) {
    const info = { length: 1, name, 'piece length': 65_536, pieces: new Uint8Array(20) }
    assert.notEqual(nameProblem(name), undefined, JSON.stringify(name))
    assert.throws(() => parseMetainfo(bencode.encode({ info })), { name: 'UsageError' }, JSON.stringify(name))
    assert.notEqual(offerProblem({ ...shardOf(1), name }), undefined, JSON.stringify(name))
    if (isShardName(name)) assert.equal(shardNameProblem(name)?.code, 'bad-name', JSON.stringify(name))
  }
  for (const name of GOOD_NAMES) {
    const info = { length: 1, name, 'piece length': 65_536, pieces: new Uint8Array(20) }
    assert.equal(nameProblem(name), undefined, name)
    assert.equal(parseMetainfo(bencode.encode({ info })).name, name)
    assert.equal(offerProblem({ ...shardOf(1), name }), undefined, name)
    assert.equal(shardNameProblem(name), undefined, name)
  }
})

test('two names are one where a file system takes them for one', () => {
  for (const [a, b] of [
    ['é.gguf', 'e\u0301.gguf'],
    ['Model.gguf', 'model.GGUF'],
    ['ÅNGSTRÖM.gguf', 'a\u030angstro\u0308m.gguf'],
  ] as const) {
    assert.equal(twinKey(a), twinKey(b), a)
  }
  for (const [a, b] of [
    ['a.gguf', 'b.gguf'],
    ['e.gguf', 'é.gguf'],
    ['a-1.gguf', 'a_1.gguf'],
  ] as const) {
    assert.notEqual(twinKey(a), twinKey(b), a)
  }
})
