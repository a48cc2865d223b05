/**
 * Datagrams that end an unguarded process or make it loop, against a real DHT node on loopback. Each line was
 * seen to crash or hang bittorrent-dht 11 or its decoder, or is a sibling of one that was.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import bencode from 'bencode'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import type { DhtNode } from '../../src/swarm/dht/dht.ts'
import { TEST_SEED } from '../helpers/random.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { until } from '../helpers/until.ts'
import { dhtNode, idOf, type RawNode, rawNode } from './krpc.ts'

const INFO_HASH = parseInfoHash('c'.repeat(40))
/** libtorrent reads no more of a datagram than this. */
const LIBTORRENT_BUFFER_BYTES = 1_500
const STORM_DATAGRAMS = 20_000
/** Twice what one second of decoding 5,000 datagrams was seen to leave behind. */
const MAX_GROWTH_BYTES = 100 * 1024 * 1024

const query = (q: string, a: unknown, extra: object = {}): Uint8Array =>
  bencode.encode({ t: 'aa', y: 'q', q, a: a as Record<string, never>, ...extra })
const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1')
const id = idOf(7)

/** Wrong types where the library reads bytes. */
const NOT_BYTES: readonly unknown[] = [7, -1, [], [1, 'x'], {}, { length: 20 }]

const CRASHERS: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ...NOT_BYTES.flatMap((wrong): [string, Uint8Array][] => {
    const shown = JSON.stringify(wrong)
    return [
      [`find_node target ${shown}`, query('find_node', { id, target: wrong })],
      [`get_peers info_hash ${shown}`, query('get_peers', { id, info_hash: wrong })],
      [`get target ${shown}`, query('get', { id, target: wrong })],
      [`announce_peer token ${shown}`, query('announce_peer', { id, info_hash: id, port: 1, token: wrong })],
      [
        `announce_peer info_hash ${shown}`,
        query('announce_peer', { id, info_hash: wrong, port: 1, token: 'x' }),
      ],
      [`put token ${shown}`, query('put', { id, v: 'x', token: wrong })],
      [`put k ${shown}`, query('put', { id, v: 'x', token: 'x', k: wrong, sig: 'y', seq: 1 })],
      [`ping id ${shown}`, query('ping', { id: wrong })],
      [`a ${shown}`, query('find_node', wrong)],
      [`q ${shown}`, bencode.encode({ t: 'aa', y: 'q', q: wrong as never, a: { id } })],
      [`t ${shown}`, bencode.encode({ t: wrong as never, y: 'q', q: 'ping', a: { id } })],
      [`y ${shown}`, bencode.encode({ t: 'aa', y: wrong as never, q: 'ping', a: { id } })],
    ]
  }),
  ['find_node target of 19 bytes', query('find_node', { id, target: 'x'.repeat(19) })],
  ['get_peers info_hash of 21 bytes', query('get_peers', { id, info_hash: 'x'.repeat(21) })],
  ['no arguments', bencode.encode({ t: 'aa', y: 'q', q: 'get_peers' })],
  [
    'negative string length in a list',
    ascii('d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa6:targetl-3:ee1:q9:find_node1:t2:aa1:y1:qe'),
  ],
  ['negative string length alone', ascii('l-3:')],
  ['negative string length as a key', ascii('d-3:')],
  ['string length past the end', ascii('d1:a999999999:xe')],
  ['string length of 400 digits', ascii(`d1:a${'9'.repeat(400)}:xe`)],
  ['integer without its end', ascii('d1:ai1')],
  ['lists in lists', ascii(`d1:a${'l'.repeat(990)}${'e'.repeat(990)}e`)],
  ['dictionaries in dictionaries', ascii(`${'d1:a'.repeat(480)}${'e'.repeat(480)}`)],
  ['nothing', Buffer.alloc(0)],
  ['one byte', ascii('d')],
  ['a huge datagram', Buffer.alloc(60_000, 0x64)],
  ['a huge query', query('find_node', { id, target: id, pad: 'x'.repeat(8_000) })],
  ['an unexpected response', bencode.encode({ t: 'aa', y: 'r', r: { id: 7 } })],
  ['an error that is no list', bencode.encode({ t: 'aa', y: 'e', e: 7 })],
  ['an error that is a dictionary', bencode.encode({ t: 'aa', y: 'e', e: { 0: 201 } })],
]

/** The node still does its work for an honest one. */
async function assertServes(node: DhtNode, t: TestContext): Promise<void> {
  const honest = await rawNode(t)
  const ping = await honest.ask(node.port, 'ping', {})
  assert.equal(Buffer.from((ping.message['r'] as { id: Uint8Array }).id).toString('hex'), node.nodeId)
  await honest.tokenOf(node.port)
}

test('datagrams that crash or hang the library are dropped one by one', async (t) => {
  const node = await dhtNode(t)
  const hostile = await rawNode(t)
  for (const [what, bytes] of CRASHERS) {
    const before = node.guard.malformed
    await hostile.send(bytes, node.port)
    await until(() => node.guard.malformed > before, {
      timeoutMs: 30_000,
      what: `"${what}" is refused`,
      everyMs: 2,
    })
  }
  assert.equal(node.guard.crashesCaught, 0, 'the checks come before the library')
  await assertServes(node, t)
})

/** A node that answers every query with the same `r`. */
async function answering(t: TestContext, r: unknown): Promise<RawNode> {
  const node = await rawNode(t)
  node.socket.on('message', (bytes, from) => {
    const { y, t: transaction } = bencode.decode(bytes) as { y: Uint8Array; t: Uint8Array }
    if (Buffer.from(y).toString() === 'q')
      void node.send(bencode.encode({ t: transaction, y: 'r', r: r as never }), from.port)
  })
  return node
}

const TWISTED_REPLIES: readonly (readonly [what: string, r: unknown])[] = [
  ...NOT_BYTES.map((wrong): [string, unknown] => [
    `r.id ${JSON.stringify(wrong)}`,
    { id: wrong, token: 'x' },
  ]),
  ['r a list', []],
  ['r bytes', 'x'],
  ['r.id too short', { id: 'short' }],
  ['nodes of odd length', { id: idOf(9), nodes: 'x'.repeat(27) }],
  ['nodes a list', { id: idOf(9), nodes: ['x'] }],
  ['values not a list', { id: idOf(9), token: 'x', values: 'x'.repeat(6) }],
  ['values of numbers', { id: idOf(9), token: 'x', values: [1, 2, 3] }],
  ['values of odd lengths', { id: idOf(9), token: 'x', values: ['x', 'y'.repeat(18)] }],
  ['token a list', { id: idOf(9), token: [] }],
]

test('replies with twisted contents cannot hang or crash a lookup', { timeout: 60_000 }, async (t) => {
  await Promise.all(
    TWISTED_REPLIES.map(async ([what, r]) => {
      const hostile = await answering(t, r)
      const node = await dhtNode(t, { bootstrap: [{ host: '127.0.0.1', port: hostile.port }] })
      const start = performance.now()
      await node.join()
      await node.lookup(INFO_HASH)
      const { stored } = await node.announce(INFO_HASH, 6881)
      assert.ok(performance.now() - start < 15_000, `${what}: three calls took too long`)
      assert.ok(stored <= 1, what)
      assert.equal(node.guard.crashesCaught, 0, what)
      await assertServes(node, t)
    }),
  )
})

/** A valid datagram with some bytes changed, or bytes that never were one. */
function mutant(valid: readonly Uint8Array[], random: SeededBytes): Uint8Array {
  const pick = random.nextUint32()
  if (pick % 8 === 0) return random.next(random.nextUint32() % 1_600)
  let bytes = Buffer.from(valid[pick % valid.length]!)
  for (let edits = 1 + (random.nextUint32() % 4); edits > 0 && bytes.length > 0; edits--) {
    const at = random.nextUint32() % bytes.length
    const kind = random.nextUint32() % 5
    if (kind === 0) bytes[at] = random.nextUint32()
    else if (kind === 1) bytes[at] = '0123456789-:delix'.charCodeAt(random.nextUint32() % 17)
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), random.next(4), bytes.subarray(at)])
    else bytes = bytes.subarray(0, at)
  }
  return bytes
}

test('a storm of damaged datagrams leaves the node serving and small', { timeout: 60_000 }, async (t) => {
  const label = `GGUF_TEST_SEED=${TEST_SEED}`
  t.diagnostic(label)
  const random = new SeededBytes(TEST_SEED)
  const node = await dhtNode(t)
  // From an address of its own: what it may ask in a second is used up.
  const hostile = await rawNode(t, '127.0.0.2')
  const valid = [
    query('ping', { id }),
    query('find_node', { id, target: id }),
    query('get_peers', { id, info_hash: id }),
    query('announce_peer', { id, info_hash: id, port: 6881, token: 'x'.repeat(20), implied_port: 1 }),
    bencode.encode({
      t: 'aa',
      y: 'r',
      r: { id, nodes: 'x'.repeat(52), token: 'x', values: ['y'.repeat(6)] },
    }),
    bencode.encode({ t: 'aa', y: 'e', e: [201, 'no'] }),
    ...CRASHERS.map(([, bytes]) => bytes).filter((bytes) => bytes.length < 2_000),
  ]
  const before = process.memoryUsage().rss
  const handled = (): number => {
    const { accepted, malformed, rateLimited } = node.guard
    return accepted + malformed + rateLimited
  }
  for (let sent = 0; sent < STORM_DATAGRAMS; sent++) {
    await hostile.send(mutant(valid, random), node.port)
    // In step with the node, so that the storm is worked off and not lost in the socket's buffer.
    if (sent % 50 === 0) await until(() => handled() > sent - 2_000, { timeoutMs: 30_000, everyMs: 1 })
  }
  assert.ok(handled() > STORM_DATAGRAMS / 2, `${label}: only ${handled()} were handled`)
  assert.equal(node.guard.crashesCaught, 0, `${label}: a shape got past the checks`)
  const growth = process.memoryUsage().rss - before
  assert.ok(growth < MAX_GROWTH_BYTES, `${label}: grew by ${growth} bytes`)
  await until(() => assertServes(node, t).then(() => true), {
    timeoutMs: 30_000,
    what: 'service after the storm',
  })
})

test('replies fit every client’s buffer, with a full table and thousands of stored peers', async (t) => {
  const node = await dhtNode(t)
  const asker = await rawNode(t)
  const random = new SeededBytes(5)
  // One socket stands for 200 nodes: the table is filled by the ids in its queries.
  for (let count = 0; count < 200; count++) {
    await asker.ask(node.port, 'ping', { id: Buffer.from(random.next(20)) })
  }
  assert.ok(node.nodeCount > 50, `${node.nodeCount} nodes are enough to overflow an unlimited reply`)
  const target = Buffer.from(INFO_HASH, 'hex')
  const found = await asker.ask(node.port, 'find_node', { target })
  assert.ok((found.message['r'] as { nodes: Uint8Array }).nodes.length > 0)
  const none = await asker.ask(node.port, 'get_peers', { info_hash: target })
  for (let peer = 0; peer < 9_000; peer++) {
    node.storeSelf(INFO_HASH, { host: `10.0.${peer >> 8}.${peer & 255}`, port: 6881 })
  }
  const many = await asker.ask(node.port, 'get_peers', { info_hash: target })
  assert.equal((many.message['r'] as { values: unknown[] }).values.length, 50)
  for (const { bytes } of [found, none, many])
    assert.ok(bytes.length < LIBTORRENT_BUFFER_BYTES, `${bytes.length} bytes`)
})

test('a read-only node (BEP 43) is answered and not kept', async (t) => {
  const node = await dhtNode(t)
  const visitor = await rawNode(t)
  await visitor.ask(node.port, 'ping', { id: idOf(1) }, { more: { ro: 1 } })
  assert.equal(node.nodeCount, 0)
  await visitor.ask(node.port, 'ping', { id: idOf(2) })
  assert.equal(node.nodeCount, 1)
})

test('a read-only node says so in every query, and in no reply', async (t) => {
  const visited = await rawNode(t)
  const getter = await dhtNode(t, { readOnly: true, bootstrap: [{ host: '127.0.0.1', port: visited.port }] })
  void getter.join()
  const { bytes } = await until(() => visited.heard[0], { timeoutMs: 30_000 })
  assert.equal((bencode.decode(bytes) as { ro?: number }).ro, 1)
  const { message } = await visited.ask(getter.port, 'ping', {})
  assert.equal(message['ro'], undefined)
})

test('stored peers expire', { timeout: 60_000 }, async (t) => {
  // So long that even a busy machine has asked once by then.
  const node = await dhtNode(t, { storedPeerMaxAgeMs: 2_000 })
  const asker = await rawNode(t)
  const valuesNow = async (): Promise<number> => {
    const { message } = await asker.ask(node.port, 'get_peers', { info_hash: Buffer.from(INFO_HASH, 'hex') })
    return (message['r'] as { values?: unknown[] }).values?.length ?? 0
  }
  node.storeSelf(INFO_HASH, { host: '10.0.0.1', port: 6881 })
  assert.equal(await valuesNow(), 1)
  await until(async () => (await valuesNow()) === 0, { timeoutMs: 30_000, what: 'the peer is forgotten' })
})
