/** The folder of `.torrent` files: one name, one torrent. */
import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { TorrentFiles } from '../../src/fleet/torrent-files.ts'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const A = parseInfoHash('a'.repeat(40))
const B = parseInfoHash('b'.repeat(40))
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

test('two shards of one name get two files, however they come and go', async (t) => {
  const folder = await temporaryFolder(t)
  const files = new TorrentFiles(folder)
  assert.equal(await files.write('m.gguf', A, bytes('a')), join(folder, 'm.gguf.torrent'))
  assert.equal(await files.write('m.gguf', B, bytes('b')), join(folder, 'm.gguf.bbbbbbbb.torrent'))
  assert.equal(
    await files.write('m.gguf', A, bytes('a')),
    join(folder, 'm.gguf.torrent'),
    'its own name again',
  )
  assert.equal(await files.write('m.gguf', B, bytes('b')), join(folder, 'm.gguf.bbbbbbbb.torrent'))
  files.forget(A)
  assert.equal(
    await files.write('m.gguf', B, bytes('b')),
    join(folder, 'm.gguf.torrent'),
    'the name was free',
  )
  assert.equal(await readFile(join(folder, 'm.gguf.torrent'), 'utf8'), 'b')
})

test('an equal file is left as it is, a different one replaced, and no other is left behind', async (t) => {
  const folder = await temporaryFolder(t)
  const path = await new TorrentFiles(folder).write('m.gguf', A, bytes('old'))
  const before = await stat(path, { bigint: true })
  await new TorrentFiles(folder).write('m.gguf', A, bytes('old'))
  assert.equal((await stat(path, { bigint: true })).ino, before.ino)
  await new TorrentFiles(folder).write('m.gguf', A, bytes('new'))
  assert.equal(await readFile(path, 'utf8'), 'new')
  assert.deepEqual(await readdir(folder), ['m.gguf.torrent'])
  assert.equal((await stat(path)).mode & 0o777, 0o644)
})

test('names that some file system takes for one get two files, too', async (t) => {
  const folder = await temporaryFolder(t)
  const files = new TorrentFiles(folder)
  await files.write('\u00e9-Model.gguf', A, bytes('a'))
  const twin = await files.write('e\u0301-model.gguf', B, bytes('b'))
  assert.equal(twin, join(folder, 'e\u0301-model.gguf.bbbbbbbb.torrent'))
  files.forget(A)
  files.forget(B)
  assert.equal(
    await files.write('\u00c9-MODEL.gguf', B, bytes('b')),
    join(folder, '\u00c9-MODEL.gguf.torrent'),
  )
})

test('the longest names are those of infohashes', async (t) => {
  const folder = await temporaryFolder(t)
  const files = new TorrentFiles(folder)
  const [fits, tooLong] = [`${'m'.repeat(240)}.gguf`, `${'m'.repeat(245)}.gguf`]
  assert.equal(await files.write(fits, A, bytes('a')), join(folder, `${fits}.torrent`))
  assert.equal(
    await files.write(fits, B, bytes('b')),
    join(folder, `${B}.torrent`),
    'no room to tell it apart',
  )
  assert.equal(await files.write(tooLong, A, bytes('a')), join(folder, `${A}.torrent`))
})
