/** Info dictionaries and .torrent files as this program makes them; mktorrent makes the same. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { UsageError } from '../../src/errors.ts'
import { buildInfo, composeTorrentFile, createInfo } from '../../src/metainfo/create.ts'
import { parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { program, skipUnless } from '../helpers/requirements.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const PIECE = 32 * 1024
/** Not a whole number of pieces, so that the last one is short. */
const DATA = bytesOf(PIECE * 5 + 777)

function bytesOf(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = (index * 31 + (index >> 8)) & 0xff
  return bytes
}

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

test('the pieces are the SHA-1 of each piece, however the bytes are cut', async () => {
  const expected = Array.from({ length: 6 }, (_, index) =>
    createHash('sha1')
      .update(DATA.subarray(index * PIECE, (index + 1) * PIECE))
      .digest('hex'),
  ).join('')
  for (const size of [PIECE, 1000, PIECE * 2, DATA.length]) {
    const made = await createInfo(cut(DATA, size), { name: 'a.gguf', pieceLength: PIECE })
    assert.equal(Buffer.from(made.pieces).toString('hex'), expected)
    assert.equal(made.length, DATA.length)
  }
})

test('info holds four keys and no more, and buildInfo makes the same from its parts', async () => {
  const made = await createInfo(cut(DATA, PIECE), { name: 'ä b.gguf', pieceLength: PIECE })
  const text = Buffer.from(made.info).toString('latin1')
  const name = Buffer.from('ä b.gguf').toString('latin1')
  assert.ok(
    text.startsWith(
      `d6:lengthi${DATA.length}e4:name${name.length}:${name}12:piece lengthi${PIECE}e6:pieces120:`,
    ),
  )
  assert.equal(made.infoHash, createHash('sha1').update(made.info).digest('hex'))
  assert.deepEqual(buildInfo(made), made)
})

test('the .torrent is the same bytes each time, with nodes, and without tracker, date or private', async () => {
  const { info, infoHash } = await createInfo(cut(DATA, PIECE), { name: 'a.gguf', pieceLength: PIECE })
  const nodes = [
    { host: '10.0.0.1', port: 51820 },
    { host: '::1', port: 6881 },
  ]
  const file = composeTorrentFile({ info, nodes })
  assert.deepEqual(composeTorrentFile({ info, nodes }), file)
  const text = Buffer.from(file).toString('latin1')
  for (const key of ['announce', 'creation date', 'private', 'url-list']) assert.ok(!text.includes(key), key)
  assert.ok(text.endsWith('5:nodesll8:10.0.0.1i51820eel3:::1i6881eeee'))
  const parsed = parseMetainfo(file)
  assert.equal(parsed.infoHash, infoHash)
  assert.deepEqual(parsed.nodes, nodes)
  assert.deepEqual(parsed.info, info)
})

test('the infohash is what mktorrent computes', { skip: skipUnless(program('mktorrent')) }, async (t) => {
  const folder = await temporaryFolder(t)
  for (const [exponent, name] of [
    [15, 'plain.gguf'],
    [18, 'with blank-00001-of-00004.gguf'],
  ] as const) {
    const [source, torrent] = [join(folder, name), join(folder, `${name}.torrent`)]
    await writeFile(source, DATA)
    const run = spawnSync('mktorrent', ['-a', 'http://x/', '-l', String(exponent), '-o', torrent, source])
    assert.equal(run.status, 0, String(run.stderr))
    const theirs = parseMetainfo(await readFile(torrent))
    const pieceLength = 2 ** exponent
    const ours = await createInfo(cut(DATA, pieceLength), { name, pieceLength })
    assert.equal(ours.infoHash, theirs.infoHash)
    assert.deepEqual(ours.info, theirs.info)
  }
})

test('a failing read fails the torrent with its own error', async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield DATA.subarray(0, PIECE)
    throw new Error('EIO')
  }
  await assert.rejects(createInfo(broken(), { name: 'a.gguf', pieceLength: PIECE }), /EIO/)
})

test('empty files and names that other hosts would refuse make no torrent', async () => {
  const empty = createInfo(cut(new Uint8Array(), 1), { name: 'a.gguf', pieceLength: PIECE })
  await assert.rejects(empty, (error) => error instanceof UsageError && error.code === 'empty')
  for (const name of ['a\\b.gguf', 'a\nb.gguf', 'con.gguf', 'x'.repeat(256)]) {
    const made = createInfo(cut(DATA, PIECE), { name, pieceLength: PIECE })
    await assert.rejects(made, (error) => error instanceof UsageError && error.code === 'bad-name')
  }
})
