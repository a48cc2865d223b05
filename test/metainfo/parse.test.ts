/** Ids as people and programs give them, and .torrent files from strangers: taken exactly, or refused in words. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import bencode from 'bencode'
import { UsageError } from '../../src/errors.ts'
import { dictionaryEnd, scanDictionary } from '../../src/metainfo/bencode-scan.ts'
import { buildInfo, composeTorrentFile } from '../../src/metainfo/create.ts'
import { infoHashBytes, isInfoHash, parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { magnetFor } from '../../src/metainfo/magnet.ts'
import { MAX_TORRENT_BYTES, metainfoFromInfo, parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { parseTorrentId } from '../../src/metainfo/parse.ts'
import { formatPeerAddress, parsePeerAddress } from '../../src/metainfo/peer-address.ts'

/** SHA-1 of nothing, and its base32 form. */
const HEX = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'
const BASE32 = '3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'

const PIECE = 64 * 1024
const GOOD = { length: PIECE + 1, name: 'a.gguf', 'piece length': PIECE, pieces: new Uint8Array(40).fill(7) }

function torrentOf(info: object): Uint8Array {
  return bencode.encode({ info })
}

function usage(code: string, ...words: readonly RegExp[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof UsageError, String(error))
    assert.equal(error.code, code)
    for (const word of words) assert.match(error.message, word)
    return true
  }
}

test('infohashes: hex and base32, any case, always the same 40 lower-case digits', async () => {
  for (const text of [HEX, HEX.toUpperCase(), BASE32, BASE32.toLowerCase(), ` ${HEX}\n`]) {
    assert.equal(parseInfoHash(text), HEX)
    assert.deepEqual(await parseTorrentId(text), { kind: 'infoHash', infoHash: HEX, peers: [] })
  }
  assert.equal(Buffer.from(infoHashBytes(parseInfoHash(HEX))).toString('hex'), HEX)
  assert.equal(isInfoHash(HEX.toUpperCase()), false)
  assert.equal(isInfoHash(undefined), false)
})

test('what is no id at all is refused without touching disk or network', async () => {
  for (const text of [
    '',
    'x',
    HEX.slice(1),
    `${HEX}0`,
    'z'.repeat(40),
    'http://127.0.0.1:1/a.torrent',
    '/etc/passwd',
  ]) {
    await assert.rejects(parseTorrentId(text), usage('bad-id', /40 hex digits/))
  }
  assert.throws(() => parseInfoHash('0'.repeat(39)), usage('bad-id', /0{39}/))
})

test('magnets: hash, name, length and the peers that make sense', async () => {
  const link =
    `magnet:?xt=urn:btih:${BASE32}&dn=a+b%2Bc.gguf&xl=123&x.pe=10.0.0.1:6881&x.pe=[::1]:1&x.pe=%5B::2%5D:2` +
    '&x.pe=host.example:80&x.pe=10.0.0.1:0&x.pe=10.0.0.1:65536&x.pe=1.2.3:4&x.pe=a%20b:1&tr=udp://tracker.example:1'
  assert.deepEqual(await parseTorrentId(link), {
    kind: 'magnet',
    infoHash: HEX,
    name: 'a b+c.gguf',
    length: 123,
    peers: [
      { host: '10.0.0.1', port: 6881 },
      { host: '::1', port: 1 },
      { host: '::2', port: 2 },
      { host: 'host.example', port: 80 },
    ],
    webSeeds: [],
  })
  for (const same of [
    `MAGNET:?xt=urn:btih:${HEX}`,
    `magnet:?xt=urn%3Abtih%3A${HEX}`,
    `magnet:?xt=URN:BTIH:${HEX}`,
  ]) {
    assert.deepEqual(await parseTorrentId(same), { kind: 'magnet', infoHash: HEX, peers: [], webSeeds: [] })
  }
})

test('a magnet with only a v2 hash says so; hybrid ones are taken by their v1 hash', async () => {
  const v2 = `urn:btmh:1220${'ab'.repeat(32)}`
  await assert.rejects(parseTorrentId(`magnet:?xt=${v2}`), usage('v2-only', /btmh/, /v1/))
  assert.equal((await parseTorrentId(`magnet:?xt=${v2}&xt=urn:btih:${HEX}`)).infoHash, HEX)
})

test('magnets without a whole v1 hash are refused', async () => {
  const bad = [
    'magnet:?dn=x',
    'magnet:?',
    `magnet:?xt=urn:btih:${HEX.slice(1)}`,
    `magnet:?xt=urn:btih:${HEX}00`,
    `magnet:?xt=urn:btih:${'z'.repeat(40)}`,
    `magnet:?xt=urn:btih:${'1'.repeat(32)}`,
    `magnet:?xt=urn:ed2k:${'0'.repeat(32)}`,
    `magnet:?xt=urn:btih:${HEX}&dn=%E0%A4%A`,
    `magnet:?xt=urn:btih:${HEX}&dn=${'x'.repeat(70_000)}`,
  ]
  for (const link of bad) await assert.rejects(parseTorrentId(link), usage('bad-id', /magnet/))
})

test('our own magnets are read back, whatever is in the name', async () => {
  const name = "it's (100%) & more+~!.gguf"
  const peers = [
    { host: '192.0.2.1', port: 7 },
    { host: '2001:db8::1', port: 8 },
  ]
  const link = magnetFor({ infoHash: parseInfoHash(HEX), name, length: 9, peers })
  assert.match(
    link,
    /^magnet:\?xt=urn:btih:[0-9a-f]{40}&dn=[A-Za-z0-9%._-]+&xl=9&x\.pe=192\.0\.2\.1:7&x\.pe=\[2001:db8::1\]:8$/,
  )
  assert.deepEqual(await parseTorrentId(link), {
    kind: 'magnet',
    infoHash: HEX,
    name,
    length: 9,
    peers,
    webSeeds: [],
  })
  for (const peer of peers) assert.deepEqual(parsePeerAddress(formatPeerAddress(peer)), peer)
})

test('a .torrent: exact bytes, and the same from its info alone', async () => {
  const { info, infoHash, pieces } = buildInfo({ ...GOOD, pieceLength: PIECE })
  const nodes = [{ host: '127.0.0.1', port: 51820 }]
  const file = composeTorrentFile({ info, nodes })
  const parsed = parseMetainfo(file)
  assert.deepEqual(parsed, {
    infoHash,
    info,
    name: 'a.gguf',
    length: PIECE + 1,
    pieceLength: PIECE,
    pieces,
    torrentFile: file,
    nodes,
    webSeeds: [],
  })
  assert.deepEqual(metainfoFromInfo(info), {
    ...parsed,
    torrentFile: composeTorrentFile({ info }),
    nodes: [],
  })
  const id = await parseTorrentId(file)
  assert.ok(id.kind === 'metainfo')
  assert.deepEqual(id.metainfo, parsed)
})

test('trackers, web seeds and unknown keys are allowed and ignored; bad nodes are left out', () => {
  const more = {
    announce: 'http://x/',
    'url-list': ['http://y/'],
    zz: 1,
    nodes: [['h', 0], [5, 5], 'x', ['ok', 5]],
  }
  const parsed = parseMetainfo(bencode.encode({ ...more, info: { ...GOOD, private: 0, source: 'x' } }))
  assert.deepEqual(parsed.nodes, [{ host: 'ok', port: 5 }])
})

test('names that would leave the folder or hurt a system are refused, each by name', async () => {
  const names = [
    '../a.gguf',
    '/etc/passwd',
    '..',
    '.',
    'a/b.gguf',
    'a\\b.gguf',
    'C:\\x',
    'a\0.gguf',
    'a\x1b[2J.gguf',
    '',
  ]
  for (const name of [...names, 'x'.repeat(256), 'NUL', 'com1.gguf', 'aux.']) {
    const bytes = torrentOf({ ...GOOD, name })
    assert.throws(() => parseMetainfo(bytes), usage('bad-torrent', /file name/), name)
    await assert.rejects(parseTorrentId(bytes), usage('bad-torrent'))
  }
  const hidden = torrentOf({ ...GOOD, 'name.utf-8': '../b.gguf' })
  assert.throws(() => parseMetainfo(hidden), usage('bad-torrent', /\.\.\/b\.gguf/))
  assert.throws(
    () => parseMetainfo(torrentOf({ ...GOOD, name: new Uint8Array([0xff]) })),
    usage('bad-torrent', /UTF-8/),
  )
  assert.equal(parseMetainfo(torrentOf({ ...GOOD, name: 'llama:7b *?.gguf' })).name, 'llama:7b *?.gguf')
})

test('torrents of another kind, or that do not add up, are refused with the value', () => {
  const { length: _, ...folder } = GOOD
  const cases: readonly (readonly [object, string, RegExp])[] = [
    [{ ...folder, files: [{ length: 1, path: ['..', 'x'] }] }, 'many-files', /one file/],
    [{ 'file tree': {}, 'meta version': 2, name: 'a', 'piece length': PIECE }, 'v2-only', /v2/],
    [{ ...GOOD, length: 0, pieces: new Uint8Array() }, 'bad-torrent', /length is 0/],
    [{ ...GOOD, length: -1 }, 'bad-torrent', /length is -1/],
    [folder, 'bad-torrent', /no length/],
    [{ ...GOOD, pieces: new Uint8Array(20) }, 'bad-torrent', /2 are needed/],
    [{ ...GOOD, pieces: new Uint8Array(41) }, 'bad-torrent', /do not fit/],
    [{ ...GOOD, 'piece length': 65_537 }, 'bad-torrent', /65537/],
    [{ ...GOOD, 'piece length': 8192 }, 'bad-torrent', /8192/],
    [{ ...GOOD, 'piece length': 2 ** 27, pieces: new Uint8Array(20) }, 'bad-torrent', /134217728/],
  ]
  for (const [info, code, word] of cases)
    assert.throws(() => parseMetainfo(torrentOf(info)), usage(code, word))
  assert.throws(() => parseMetainfo(bencode.encode({ announce: 'x' })), usage('bad-torrent', /info/))
  assert.throws(() => parseMetainfo(new Uint8Array(MAX_TORRENT_BYTES + 1)), usage('bad-torrent', /10000001/))
  assert.throws(() => parseMetainfo(new Uint8Array(20)), usage('bad-torrent'))
})

test('a hybrid torrent is taken by its v1 half, hash and all', async () => {
  const info = {
    'file tree': { 'a.gguf': { '': { length: GOOD.length, 'pieces root': new Uint8Array(32).fill(200) } } },
    'meta version': 2,
    ...GOOD,
  }
  const id = await parseTorrentId(bencode.encode({ info }))
  assert.equal(id.infoHash, createHash('sha1').update(bencode.encode(info)).digest('hex'))
})

test('bytes that would hang or mislead the bencode decoder never reach it', () => {
  const bad = [
    'd1:al-3:ee',
    'd4:info-3:e',
    'd4:infol',
    'd4:info',
    'd4:info99999999999999999999:xe',
    'd4:infoi1.5ee',
    'd4:infoi01ee',
    'd4:infoi-0ee',
    'd4:infodee ',
    'd4:infode4:infodee',
    'd4:infod9:__proto__0:6:lengthi1eee',
    'd9:__proto__de4:infodee',
    `d4:info${'l'.repeat(50)}${'e'.repeat(50)}e`,
    '',
    '<!doctype html>',
  ]
  for (const text of bad) assert.throws(() => parseMetainfo(Buffer.from(text)), usage('bad-torrent'), text)
})

test('no key reaches the decoder that would replace a prototype there', () => {
  for (const key of ['__proto__', '\ufeff__proto__']) {
    const bytes = Buffer.from(`d${Buffer.byteLength(key)}:${key}d6:lengthi1eee`)
    assert.throws(() => scanDictionary(bytes), /__proto__/)
    const inside = Buffer.concat([Buffer.from('d1:a'), bytes, Buffer.from('e')])
    assert.throws(() => dictionaryEnd(inside), /__proto__/)
  }
})

test('a .torrent with trackers, comments or web seeds of the wrong type is refused in words', async () => {
  const { info } = buildInfo({ ...GOOD, pieceLength: PIECE })
  for (const wrong of ['8:announcele', '13:announce-listli1ee', '8:url-listi7e', '10:created bydee']) {
    const bytes = Buffer.concat([Buffer.from('d4:info'), info, Buffer.from(`${wrong}e`)])
    const id = await parseTorrentId(bytes).catch((error: unknown) => error)
    if (id instanceof Error) assert.ok(usage('bad-torrent')(id), `${wrong}: ${id}`)
  }
  const bytes = Buffer.concat([Buffer.from('d4:info'), info, Buffer.from('8:announcelee')])
  await assert.rejects(parseTorrentId(bytes), usage('bad-torrent', /a\.gguf.*damaged outside of its info/))
})

test('an info dictionary that clients would re-encode to another hash is refused', () => {
  const { info } = buildInfo({ ...GOOD, pieceLength: PIECE })
  const text = Buffer.from(info).toString('latin1')
  const length = `6:lengthi${GOOD.length}e`
  const unsorted = Buffer.from(`d${text.slice(1).replace(length, '').replace(/e$/, '')}${length}e`, 'latin1')
  assert.throws(() => metainfoFromInfo(unsorted), usage('bad-torrent', /canonical/))
})
