/**
 * Whatever stands in the files of a state folder (a power cut, another version, somebody's editor), the program starts,
 * believes only what fits together, and goes on.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc, { type Arbitrary } from 'fast-check'
import { UsageError } from '../../src/errors.ts'
import { Partial } from '../../src/fleet/download/partial.ts'
import { lockFolder } from '../../src/fleet/folder-lock.ts'
import { loadHostState } from '../../src/fleet/host-state.ts'
import { loadKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import { ReplicaLedger } from '../../src/fleet/replication/replica-ledger.ts'
import { identityOf, identityToJson } from '../../src/library/identity.ts'
import { ShardRecords } from '../../src/library/records.ts'
import { buildInfo, composeTorrentFile } from '../../src/metainfo/create.ts'
import { nameProblem } from '../../src/metainfo/file-name.ts'
import { isInfoHash } from '../../src/metainfo/info-hash.ts'
import { metainfoFromInfo } from '../../src/metainfo/metainfo.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { damaged, nastyInteger } from './grammar.ts'
import { holds, refuses } from './property.ts'

/** A file is written and read for each input, and the disk may be busy. */
const FILE = { slowMs: 30_000 }
const HASH = 'a'.repeat(40)
const log = { info() {}, warn() {} }

const nasty: Arbitrary<unknown> = fc.oneof(
  fc.jsonValue(),
  nastyInteger,
  fc.constantFrom(HASH, HASH.toUpperCase(), '', '__proto__', -0.5, 1e300, 'x'.repeat(5_000), [], {}, null),
)

/** The text of a JSON file: fields mostly as they should be; then damaged, or something else altogether. */
function jsonFile(fields: Readonly<Record<string, Arbitrary<unknown>>>): Arbitrary<Uint8Array> {
  const mostly = (good: Arbitrary<unknown>): Arbitrary<unknown> =>
    fc.oneof(
      { weight: 5, arbitrary: good },
      { weight: 1, arbitrary: nasty },
      { weight: 1, arbitrary: fc.constant(undefined) },
    )
  const whole = fc.record(
    Object.fromEntries(Object.entries(fields).map(([key, good]) => [key, mostly(good)])),
  )
  const text = fc.oneof(
    { weight: 6, arbitrary: whole.map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.json() },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '',
        'null',
        '[',
        '['.repeat(50_000),
        '{"__proto__":{"version":1}}',
        '\0'.repeat(4_096),
      ),
    },
  )
  return damaged(text.map((json) => Buffer.from(json)))
}

const id = fc.constantFrom(HASH, 'b'.repeat(40))
const port = fc.oneof(fc.integer({ min: 0, max: 65_535 }), nastyInteger)

test('the state of a host', async (t) => {
  const folder = await temporaryFolder(t)
  const node = fc.record(
    { host: fc.oneof(fc.constantFrom('10.0.0.1', 'x', '::1'), nasty), port },
    { requiredKeys: [] },
  )
  const file = jsonFile({
    version: fc.constant(1),
    hostId: id,
    nodeId: id,
    port,
    dhtPort: port,
    nodes: fc.array(node, { maxLength: 300 }),
  })
  await holds(
    t,
    file,
    async (bytes) => {
      await writeFile(join(folder, 'host.json'), bytes)
      const { hostId, nodeId, port, dhtPort, nodes } = await loadHostState(folder)
      assert.ok(isInfoHash(hostId) && isInfoHash(nodeId))
      for (const number of [port, dhtPort, ...nodes.map((node) => node.port)])
        assert.ok(Number.isInteger(number) && number >= 0 && number <= 65_535)
      assert.ok(nodes.length <= 200)
    },
    { runs: 200, ...FILE },
  )
})

test('the record of a shard', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'shard.gguf')
  await writeFile(path, 'x'.repeat(1_000))
  const name = `${createHash('sha1').update(path).digest('hex')}.json`
  const pieces = new Uint8Array(20)
  const { infoHash } = buildInfo({ name: 'shard.gguf', length: 1_000, pieceLength: 262_144, pieces })
  const identity = identityToJson(await identityOf(path))
  const file = jsonFile({
    version: fc.constant(1),
    path: fc.constant(path),
    name: fc.constant('shard.gguf'),
    identity: fc.oneof(
      { weight: 4, arbitrary: fc.constant(identity) },
      { weight: 1, arbitrary: nasty.map((size) => ({ ...identity, size })) },
    ),
    infoHash: fc.constant(infoHash),
    sha256: fc.constant('c'.repeat(64)),
    length: fc.constant(1_000),
    pieceLength: fc.constant(262_144),
    pieces: fc.constant(Buffer.from(pieces).toString('base64')),
  })
  let believed = 0
  await mkdir(join(folder, 'shards'))
  await holds(
    t,
    file,
    async (bytes) => {
      await writeFile(join(folder, 'shards', name), bytes)
      const records = new ShardRecords(folder, log)
      await records.load()
      const record = records.get(path)
      if (record === undefined) {
        assert.ok(!(await readdir(join(folder, 'shards'))).includes(name), 'it is put aside, not read again')
        return
      }
      believed++
      assert.equal(record.infoHash, infoHash)
      assert.equal(record.length, Number(record.identity.size))
    },
    { runs: 200, ...FILE },
  )
  assert.ok(believed > 0, 'none was right, so little was tried')
})

test('the note and the metainfo of a download', async (t) => {
  const out = await temporaryFolder(t)
  const pieces = new Uint8Array(3 * 20)
  const { info, infoHash } = buildInfo({ name: 'shard.gguf', length: 600_000, pieceLength: 262_144, pieces })
  const metainfo = metainfoFromInfo(info)
  const folder = join(out, '.gguf-swarm', infoHash)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'data'), new Uint8Array(600_000))
  const bitfield = fc.constantFrom('AA==', '4A==', '/w==', '', 'AAAA', '\u0000')
  const note = jsonFile({
    version: fc.constant(1),
    infoHash: fc.constant(infoHash),
    pieceLength: fc.constant(262_144),
    synced: bitfield,
    written: bitfield,
  })
  const torrent = damaged(fc.constantFrom(composeTorrentFile({ info }), info))
  await holds(
    t,
    fc.tuple(note, torrent),
    async ([json, bytes]) => {
      await Promise.all([
        writeFile(join(folder, 'pieces.json'), json),
        writeFile(join(folder, 'metainfo.torrent'), bytes),
      ])
      const partial = await Partial.open(out, infoHash)
      try {
        const known = await partial.metainfo(infoHash)
        if (known !== undefined) assert.deepEqual(known.pieces, pieces)
        const { synced, written } = await partial.note(metainfo)
        assert.deepEqual([synced.length, written.length], [1, 1])
      } finally {
        await partial.release() // or a smaller input would only find it locked
      }
    },
    { runs: 150, ...FILE },
  )
})

test('the ledger of replicas, a lock, a key', async (t) => {
  const folder = await temporaryFolder(t)
  const replica = fc.record(
    {
      infoHash: fc.oneof(id, nasty),
      name: fc.oneof(fc.constantFrom('a.gguf', '../a', '.hidden', 'nul'), nasty),
      model: fc.oneof(fc.constant('a'), nasty),
      length: nastyInteger,
      state: fc.oneof(fc.constantFrom('fetching', 'kept'), nasty),
    },
    { requiredKeys: [] },
  )
  const ledger = jsonFile({ version: fc.constant(1), replicas: fc.array(replica, { maxLength: 20 }) })
  const lock = damaged(
    fc
      .tuple(fc.oneof(fc.constantFrom(1, 2 ** 22 + 7, process.pid), nastyInteger), nastyInteger)
      .map((ids) => Buffer.from(ids.join(' '))),
  )
  const key = damaged(fc.constant(Buffer.from(`gguf-swarm-key-1 ${'0f'.repeat(32)}\n`)))
  await holds(
    t,
    fc.tuple(ledger, lock, key),
    async ([json, locked, line]) => {
      await writeFile(join(folder, 'replicas.json'), json)
      for (const { infoHash, name, length } of (await ReplicaLedger.load(folder, log)).all()) {
        assert.ok(isInfoHash(infoHash) && Number.isSafeInteger(length) && length > 0)
        assert.equal(nameProblem(name), undefined)
      }
      const place = join(folder, 'locked', 'lock')
      await mkdir(dirname(place), { recursive: true })
      await writeFile(place, locked)
      const held = await lockFolder(dirname(place), String).catch((error: { code?: string }) => {
        assert.equal(error.code, 'locked')
      })
      await held?.release()
      await writeFile(join(folder, 'fleet.key'), line)
      const read = await refuses(() => loadKeyFile(join(folder, 'fleet.key')), UsageError)
      if (read?.kind === 'keyed') assert.equal(read.secret.length, 32)
    },
    { runs: 150, ...FILE },
  )
})
