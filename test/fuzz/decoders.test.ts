/** What decodes bytes of strangers says yes or no to all of them, quickly, and a yes is within its limits. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import bencode from 'bencode'
import fc, { type Arbitrary } from 'fast-check'
import { UsageError } from '../../src/errors.ts'
import { judge } from '../../src/gguf/inspect.ts'
import { BencodeError, dictionaryEnd, scanDictionary } from '../../src/metainfo/bencode-scan.ts'
import { nameProblem } from '../../src/metainfo/file-name.ts'
import { isInfoHash } from '../../src/metainfo/info-hash.ts'
import { magnetFor } from '../../src/metainfo/magnet.ts'
import { type Metainfo, metainfoFromInfo, parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { parseTorrentId } from '../../src/metainfo/parse.ts'
import { formatPeerAddress, parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import { krpcKind } from '../../src/swarm/dht/udp-guard.ts'
import { array, buildGguf, bytesSource, type GgufSpec, items, value } from '../helpers/gguf.ts'
import { almostBencode, damaged, dictionaryOf, nastyBytes, nastyInteger, nastyValue } from './grammar.ts'
import { holds, refuses } from './property.ts'

test('bencode: what the scanner lets through, the decoder survives', async (t) => {
  const inputs = damaged(
    fc.oneof(
      almostBencode,
      nastyValue.map((any) => bencode.encode(any as never)),
    ),
  )
  await holds(
    t,
    inputs,
    async (bytes) => {
      const scanned = await refuses(() => scanDictionary(bytes), BencodeError)
      const end = await refuses(() => dictionaryEnd(bytes), BencodeError)
      if (scanned !== undefined) assert.equal(end, bytes.length)
      if (end === undefined) return
      assert.ok(end <= bytes.length)
      krpcKind(bencode.decode(bytes.subarray(0, end)))
    },
    { runs: 2_000 },
  )
})

const PIECE_LENGTH = 262_144
const infoFields = (count: number, length: number, name: Uint8Array): Record<string, Arbitrary<unknown>> => ({
  length: fc.oneof(fc.constant(length), nastyInteger),
  name: fc.oneof(fc.constant(name), nastyBytes),
  'piece length': fc.oneof(fc.constant(PIECE_LENGTH), nastyInteger),
  pieces: fc.oneof(fc.constant(new Uint8Array(20 * count)), nastyBytes),
})

const NAMES = ['model.gguf', '../evil', 'a/b', 'nul', '.', '', 'x\0y', '\u202emodel.gguf', 'ü'.repeat(200)]

const infoDictionary: Arbitrary<Uint8Array> = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(...NAMES))
  .chain(([count, name]) => dictionaryOf(infoFields(count, count * PIECE_LENGTH - 1, Buffer.from(name))))

const torrentFile: Arbitrary<Uint8Array> = fc
  .tuple(
    infoDictionary,
    fc.array(
      fc.tuple(fc.constantFrom('announce', 'nodes', 'url-list', 'info', 'creation date'), nastyValue),
      {
        maxLength: 3,
      },
    ),
  )
  .map(([info, extra]) => {
    const part = ([key, any]: readonly [string, unknown]): string =>
      `${key.length}:${key}${Buffer.from(bencode.encode(any as never)).toString('latin1')}`
    return Buffer.from(`d4:info${Buffer.from(info).toString('latin1')}${extra.map(part).join('')}e`, 'latin1')
  })

function assertSafe(metainfo: Metainfo): void {
  const { infoHash, info, name, length, pieceLength, pieces, nodes } = metainfo
  assert.equal(infoHash, createHash('sha1').update(info).digest('hex'))
  assert.equal(nameProblem(name), undefined)
  assert.ok(Number.isSafeInteger(length) && length > 0)
  assert.ok(pieceLength <= 64 * 1024 * 1024)
  assert.equal(pieces.length, 20 * Math.ceil(length / pieceLength))
  assert.ok(nodes.length <= 64)
}

test('.torrent files and info dictionaries', async (t) => {
  let taken = 0
  await holds(
    t,
    damaged(fc.oneof(torrentFile, infoDictionary)),
    async (bytes) => {
      const metainfo = await refuses(() => parseMetainfo(bytes), UsageError)
      const id = await refuses(() => parseTorrentId(bytes), UsageError)
      const fromInfo = await refuses(() => metainfoFromInfo(bytes), UsageError)
      for (const read of [metainfo, fromInfo]) {
        if (read === undefined) continue
        taken++
        assertSafe(read)
        // What is handed on is what was read: the next reader sees the same torrent.
        assert.equal(parseMetainfo(read.torrentFile).infoHash, read.infoHash)
      }
      if (id !== undefined) assert.equal(id.infoHash, metainfo?.infoHash)
    },
    { runs: 1_000 },
  )
  assert.ok(taken > 0, 'nothing was right, so little was tried')
})

const HASHES = ['f'.repeat(40), 'A'.repeat(40), 'a2b3'.repeat(8), 'f'.repeat(39), '%66'.repeat(40), '']
const TOPICS = ['urn:btih:', 'URN:BTIH:', 'urn%3Abtih%3A', 'urn:btmh:1220', 'urn:sha1:', 'urn:btih:urn:btih:']
const parameter: Arbitrary<string> = fc.oneof(
  fc
    .tuple(fc.constantFrom('xt', 'xt.1', 'XT'), fc.constantFrom(...TOPICS), fc.constantFrom(...HASHES))
    .map(([key, topic, hash]) => `${key}=${topic}${hash}`),
  fc
    .tuple(
      fc.constantFrom('dn', 'xl', 'x.pe', 'tr', 'ws', 'xs', 'as', 'kt', 'so', '__proto__', 'constructor', ''),
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 30 }),
        fc.constantFrom(
          '%',
          '%zz',
          '%ff%fe',
          '1.2.3.4:5',
          '[::1]:6',
          '0-9999999999',
          '-1',
          '9'.repeat(400),
          '+',
        ),
      ),
    )
    .map(([key, text]) => `${key}=${text}`),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const magnet: Arbitrary<string> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom('magnet:?', 'MAGNET:?', 'stream-magnet:?', 'magnet:', ' magnet:?'),
        fc.array(parameter, { maxLength: 8 }),
        fc.constantFrom('&', '&&', ';', '&amp;'),
      )
      .map(([scheme, parts, between]) => scheme + parts.join(between)),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...HASHES), fc.string({ maxLength: 3 }))
      .map((parts) => parts.join('')),
  },
)

test('magnet links and infohashes', async (t) => {
  let taken = 0
  await holds(
    t,
    magnet,
    async (text) => {
      const id = await refuses(() => parseTorrentId(text), UsageError)
      if (id === undefined) return
      taken++
      assert.ok(isInfoHash(id.infoHash))
      assert.ok(id.peers.length <= 64)
      for (const peer of id.peers) assert.deepEqual(parsePeerAddress(formatPeerAddress(peer)), peer)
      if (id.kind !== 'magnet') return
      const again = await parseTorrentId(
        magnetFor({ infoHash: id.infoHash, name: id.name ?? 'x', length: id.length ?? 1 }),
      )
      assert.equal(again.infoHash, id.infoHash)
    },
    { runs: 2_000 },
  )
  assert.ok(taken > 0, 'nothing was right, so little was tried')
})

const count: Arbitrary<bigint | undefined> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(undefined) },
  fc.constantFrom(0n, 1n, 2n ** 16n, 2n ** 32n - 1n, 2n ** 63n, 2n ** 64n - 1n, 100_000n),
)
const metadata = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom('general.alignment', 'general.architecture', 'split.no', 'split.count', ''),
      fc.string({ maxLength: 70 }),
    ),
    fc.oneof(
      fc.constantFrom(0, 1, 8, 24, 32, 64, 2 ** 31, 2 ** 32 - 1).map((number) => value('u32', number)),
      fc.string({ maxLength: 300 }).map((text) => value('string', text)),
      fc.array(fc.string({ maxLength: 5 }), { maxLength: 20 }).map((texts) => array('string', texts)),
      fc.nat({ max: 12 }).map((depth) => {
        let nested = items('u8', [1, 2])
        for (let level = 0; level < depth; level++)
          nested = items('array', [nested, nested].slice(0, 1 + (level % 2)))
        return { type: 'array' as const, value: nested }
      }),
    ),
  ),
  { maxLength: 6 },
)
const dimension = fc.oneof(
  fc.integer({ min: 1, max: 64 }),
  fc.constantFrom(0n, 2n ** 31n, 2n ** 40n, 2n ** 63n, 2n ** 64n - 1n),
)
const tensors = fc.array(
  fc.record(
    {
      name: fc.string({ maxLength: 70 }),
      dims: fc.array(dimension, { maxLength: 6 }),
      type: fc.oneof(
        fc.constantFrom('f32' as const, 'i8' as const, 'q8_0' as const),
        fc.constantFrom(99, 2 ** 32 - 1),
      ),
      data: fc.nat({ max: 200 }).map((length) => new Uint8Array(length)),
      offset: fc.constantFrom(0, 32, 2n ** 53n, 2n ** 64n - 32n),
    },
    { requiredKeys: ['name', 'dims', 'type', 'data'] },
  ),
  { maxLength: 5 },
)
const gguf: Arbitrary<Buffer> = fc
  .tuple(metadata, tensors, count, count, fc.boolean(), fc.constantFrom(0, 1, 2, 3, 4, 2 ** 32 - 1))
  .map(([pairs, list, tensorCount, metadataCount, littleEndian, version]) => {
    const counts = {
      ...(tensorCount === undefined ? {} : { tensorCount }),
      ...(metadataCount === undefined ? {} : { metadataCount }),
    }
    const spec: GgufSpec = {
      metadata: pairs,
      tensors: list as never,
      littleEndian,
      version: version < 2 ? 3 : version,
      ...counts,
    }
    return Buffer.from(buildGguf(spec))
  })

test('GGUF headers', async (t) => {
  const kinds = new Set<string>()
  await holds(
    t,
    damaged(gguf),
    async (bytes) => {
      const verdict = await judge(bytesSource(bytes))
      kinds.add(verdict.kind)
      if (verdict.kind === 'whole') assert.ok(verdict.minimumLength <= bytes.length)
      if (verdict.kind === 'incomplete') assert.ok((verdict.minimumLength ?? bytes.length + 1) > bytes.length)
      if ('reason' in verdict)
        assert.ok(verdict.reason.length < 1_000, `a reason of ${verdict.reason.length} characters`)
    },
    { runs: 1_000 },
  )
  for (const kind of ['whole', 'incomplete', 'invalid']) assert.ok(kinds.has(kind), `none was ${kind}`)
})
