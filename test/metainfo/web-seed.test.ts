/** Addresses of web seeds: which are taken, which file each has, and that magnets and .torrent files carry them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildInfo, composeTorrentFile } from '../../src/metainfo/create.ts'
import { magnetFor } from '../../src/metainfo/magnet.ts'
import { parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { parseTorrentId } from '../../src/metainfo/parse.ts'
import { parseWebSeed, webSeedsFor, webSeedUrl } from '../../src/metainfo/web-seed.ts'

const HUB = 'https://huggingface.co/org/name/resolve/main/'
const { infoHash, info } = buildInfo({
  ...{ name: 'a b.gguf', length: 5, pieceLength: 16_384 },
  pieces: new Uint8Array(20),
})

test('only plain web addresses are taken', () => {
  assert.equal(parseWebSeed('HTTPS://Example.org/x y'), 'https://example.org/x%20y')
  const others = ['ftp://a/b', 'file:///etc/passwd', 'data:,x', 'https://me:secret@a/b', 'a/b', '', 'http://']
  for (const text of [...others, `http://a/${'x'.repeat(2_000)}`])
    assert.equal(parseWebSeed(text), undefined, text)
})

test('a folder has every file, another address the file that it ends in', () => {
  assert.equal(webSeedUrl(HUB, 'a b#?.gguf'), `${HUB}a%20b%23%3F.gguf`)
  const file = `${HUB}a%20b.gguf?download=true`
  assert.deepEqual(webSeedsFor([HUB, file, `${HUB}other.gguf`, 'http://a/%ff'], 'a b.gguf'), [
    `${HUB}a%20b.gguf`,
    file,
  ])
})

test('magnets and .torrent files carry them there and back; a stranger’s list is cut and cleaned', async () => {
  const webSeeds = [`${HUB}a%20b.gguf`, 'http://10.0.0.1:8080/files/a%20b.gguf?x=1&y=2']
  const magnet = magnetFor({ infoHash, name: 'a b.gguf', length: 5, webSeeds })
  assert.ok(magnet.includes('&ws=https%3A%2F%2Fhuggingface.co%2F'), magnet)
  const id = await parseTorrentId(magnet)
  assert.deepEqual(id.kind === 'magnet' && id.webSeeds, webSeeds)
  const torrentFile = composeTorrentFile({ info, nodes: [{ host: '10.0.0.1', port: 1 }], webSeeds })
  assert.deepEqual(parseMetainfo(torrentFile).webSeeds, webSeeds)
  assert.equal(parseMetainfo(torrentFile).infoHash, infoHash)
  assert.deepEqual(parseMetainfo(composeTorrentFile({ info })).webSeeds, [])
  const text = Buffer.from(composeTorrentFile({ info })).toString('latin1')
  const withList = (list: string): readonly string[] =>
    parseMetainfo(Buffer.from(`${text.slice(0, -1)}8:url-list${list}e`, 'latin1')).webSeeds
  assert.deepEqual(withList('14:http://a.b/c/d'), ['http://a.b/c/d'], 'one address, not in a list')
  assert.deepEqual(withList('li7e9:ftp://a/b14:http://a.b/c/d14:http://a.b/c/de'), ['http://a.b/c/d'])
  assert.equal(withList(`l${manyUrls(100)}e`).length, 16)
})

const manyUrls = (count: number): string =>
  Array.from({ length: count }, (_, at) => `13:http://a.b/${String(at).padStart(2, '0')}`).join('')
