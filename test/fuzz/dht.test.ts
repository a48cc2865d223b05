/** Datagrams to a DHT node that knows us, and answers to what it asks itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import bencode from 'bencode'
import fc, { type Arbitrary } from 'fast-check'
import { rawNode } from '../hostile/krpc.ts'
import {
  almostBencode,
  damaged,
  dictionaryOf,
  nastyBytes,
  nastyInteger,
  nastyValue,
  recordOf,
} from './grammar.ts'
import { holds } from './property.ts'
import { assertWell, type State, targetOf } from './target-process.ts'

const id = fc.uint8Array({ minLength: 20, maxLength: 20 })
const token = fc.oneof(nastyBytes, fc.constant(new Uint8Array(20)))
const compactNodes = fc.oneof(
  fc
    .array(fc.uint8Array({ minLength: 26, maxLength: 26 }), { maxLength: 20 })
    .map((nodes) => Buffer.concat(nodes)),
  nastyBytes,
)

const queryArguments = recordOf({
  id,
  target: id,
  info_hash: id,
  token,
  port: fc.oneof(fc.constant(6_881), nastyInteger),
  implied_port: fc.constantFrom(0, 1),
  v: nastyValue,
  k: nastyBytes,
  seq: nastyInteger,
  want: fc.array(fc.constantFrom('n4', 'n6')),
})
const replyValues = recordOf({
  id,
  token,
  nodes: compactNodes,
  nodes6: compactNodes,
  values: fc.array(fc.oneof(fc.uint8Array({ minLength: 6, maxLength: 6 }), nastyBytes), { maxLength: 60 }),
  samples: nastyBytes,
})
const datagram: Arbitrary<Buffer> = damaged(
  fc.oneof(
    dictionaryOf({
      t: fc.uint8Array({ minLength: 1, maxLength: 4 }),
      y: fc.constant('q'),
      q: fc.constantFrom(
        'ping',
        'find_node',
        'get_peers',
        'announce_peer',
        'get',
        'put',
        'sample_infohashes',
        'x',
      ),
      a: queryArguments,
      ro: fc.constantFrom(0, 1),
    }),
    dictionaryOf({ t: fc.uint8Array({ minLength: 1, maxLength: 4 }), y: fc.constant('r'), r: replyValues }),
    dictionaryOf({
      t: nastyBytes,
      y: fc.constantFrom('q', 'r', 'e', 'x'),
      q: nastyValue,
      r: nastyValue,
      e: nastyValue,
    }),
    almostBencode,
  ),
)

test('datagrams of any kind, with tokens that count: the node answers the next honest query', async (t) => {
  const start = await targetOf(t)
  const before = await (await start()).ask<State>({ order: 'state' })
  const [hostile, honest] = [await rawNode(t, '127.0.0.2'), await rawNode(t)]
  let token = ''
  await holds(
    t,
    fc.array(datagram, { minLength: 1, maxLength: 12 }),
    async (datagrams) => {
      const { dhtPort } = await start()
      if (token === '') token = Buffer.from(await hostile.tokenOf(dhtPort)).toString('latin1')
      for (const bytes of datagrams) await hostile.send(withToken(bytes, token), dhtPort)
      await honest.tokenOf(dhtPort)
      for (const node of [hostile, honest]) node.heard.length = 0
    },
    { runs: 150, slowMs: 120_000 },
  )
  await assertWell(t, await start(), before)
})

/** A token of 20 zeros stands for the one that the node gave us. */
const withToken = (bytes: Buffer, token: string): Buffer =>
  Buffer.from(
    bytes.toString('latin1').replace(`20:${'\0'.repeat(20)}`, () => `20:${token}`),
    'latin1',
  )

test('answers of any kind: lookups and announces come to an end', async (t) => {
  const nodes = await Promise.all(Array.from({ length: 4 }, () => rawNode(t)))
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  const start = await targetOf(t, { bootstrap: addresses })
  const before = await (await start()).ask<State>({ order: 'state' })
  let answers: readonly (readonly [values: object, bytes: Buffer])[] = []
  let answered = 0
  for (const [index, node] of nodes.entries()) {
    node.socket.on('message', (query, from) => {
      const answer = answers[(answered + index) % Math.max(1, answers.length)]
      const { t: transaction, y } = bencode.decode(query) as { t: Uint8Array; y: Uint8Array }
      if (answer === undefined || Buffer.from(y).toString() !== 'q') return
      answered++
      const [values, bytes] = answer
      const honest = bencode.encode({ t: transaction, y: 'r', r: values as never })
      void node.send(answered % 4 === 0 ? bytes : honest, from.port)
      node.heard.length = 0
    })
  }
  const input = fc.tuple(
    fc.array(fc.tuple(replyValues, datagram), { minLength: 1, maxLength: 8 }),
    fc.array(id, { minLength: 1, maxLength: 6 }),
  )
  await holds(
    t,
    input,
    async ([next, targets]) => {
      answers = next
      const { ask } = await start()
      const lookups = targets.map((target) =>
        ask({ order: 'lookup', infoHash: Buffer.from(target).toString('hex') }, 60_000),
      )
      await Promise.all(lookups)
    },
    { runs: 3, slowMs: 120_000 },
  )
  assert.ok(answered > 0, 'nothing was asked, so nothing was tried')
  await assertWell(t, await start(), before)
})
