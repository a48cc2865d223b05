/** The conversation of two members: who gets in, and what a message must be to be heard. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeHello, encodeProof } from '../../src/swarm/catalogue/catalogue-codec.ts'
import { encoded, frameOf, infoOf, proved, refusalOf, SECRET, shardOf, speaker } from './catalogue-kit.ts'

const BEAT = { type: 'beat', info: infoOf(1), shardCount: 3 } as const

test('two that hold the key prove it, and each hears the other, in order', () => {
  const { a, b } = proved()
  assert.ok(a.session.isProved && b.session.isProved)
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const shardCount of [1, 2, 3]) {
      const heard = to.session.receive(frameOf(from, { ...BEAT, shardCount }))
      assert.equal(heard?.type === 'beat' && heard.shardCount, shardCount)
    }
  }
})

test('nothing is told before the peer has proved itself', () => {
  const a = speaker('initiator')
  assert.throws(() => a.session.send({ type: 'bye' }), /has not proved itself/)
  assert.equal(a.sent.length, 1, 'only the hello')
})

test('another key is a wrong key, on either side', () => {
  const [a, b] = [speaker('initiator'), speaker('acceptor', new Uint8Array(32))]
  a.session.receive(b.sent[0]!)
  b.session.receive(a.sent[0]!)
  assert.equal(refusalOf(a, b.sent[1]!), 'wrong-key')
  assert.equal(refusalOf(b, a.sent[1]!), 'wrong-key')
  assert.ok(!a.session.isProved && !b.session.isProved)
})

test('a hello and proof of a former connection prove nothing', () => {
  const former = proved()
  const victim = speaker('acceptor')
  assert.equal(refusalOf(victim, former.a.sent[0]!), undefined)
  assert.equal(refusalOf(victim, former.a.sent[1]!), 'wrong-key')
})

test('our own hello and proof, sent back, prove nothing', () => {
  const victim = speaker('acceptor')
  assert.equal(refusalOf(victim, victim.sent[0]!), 'forged')

  // With a field added it is no copy any more, and the nonce is the same: the proof says which side it is of.
  const other = speaker('acceptor')
  const hello = Buffer.from(other.sent[0]!)
  const altered = Buffer.concat([hello.subarray(0, -1), Buffer.from('1:x1:ye')])
  assert.equal(refusalOf(other, altered), undefined)
  assert.equal(refusalOf(other, other.sent[1]!), 'wrong-key')
})

test('who says to be the other side is not believed', () => {
  const [a, b] = [speaker('initiator'), speaker('initiator')]
  a.session.receive(b.sent[0]!)
  b.session.receive(a.sent[0]!)
  assert.equal(refusalOf(a, b.sent[1]!), 'wrong-key')
})

test('a proof before the hello, a hello for a proof and a message for either are malformed', () => {
  assert.equal(refusalOf(speaker('acceptor'), encodeProof(new Uint8Array(32))), 'malformed')
  const second = speaker('acceptor')
  const stranger = speaker('initiator')
  assert.equal(refusalOf(second, stranger.sent[0]!), undefined)
  assert.equal(refusalOf(second, stranger.sent[0]!), 'malformed')
  const { a } = proved()
  assert.equal(refusalOf(speaker('acceptor'), frameOf(a, { type: 'bye' })), 'malformed')
})

test('version 0 is refused for its version; a later one is spoken to, whatever else is in its hello', () => {
  const nonce = new Uint8Array(32).fill(1)
  assert.equal(refusalOf(speaker('acceptor'), encodeHello({ version: 0, nonce })), 'version')
  assert.equal(refusalOf(speaker('acceptor'), encodeHello({ version: 99, nonce })), undefined)
  const later = encoded({ t: 'hello', v: 2, n: Buffer.from(nonce), features: ['a', { b: 1 }] })
  assert.equal(refusalOf(speaker('acceptor'), later), undefined)
  for (const v of [-1, 'one', [1]]) {
    const hello = encoded({ t: 'hello', v, n: Buffer.from(nonce) })
    assert.equal(refusalOf(speaker('acceptor'), hello), 'malformed', `version ${v}`)
  }
})

test('a hello with a short nonce, too long or cut is malformed', () => {
  const hello = (n: number, pad = 0): Uint8Array =>
    encoded({ n: Buffer.alloc(n), pad: 'x'.repeat(pad), t: 'hello', v: 1 })
  assert.equal(refusalOf(speaker('acceptor'), hello(31)), 'malformed')
  assert.equal(refusalOf(speaker('acceptor'), hello(33)), 'malformed')
  assert.equal(refusalOf(speaker('acceptor'), hello(32, 900)), undefined)
  assert.equal(refusalOf(speaker('acceptor'), hello(32, 1_000)), 'malformed')
  for (let cut = 0; cut < hello(32).length; cut++) {
    assert.equal(refusalOf(speaker('acceptor'), hello(32).subarray(0, cut)), 'malformed', `${cut} bytes`)
  }
})

test('a message that is altered, cut, told again, out of order or of another connection is forged', () => {
  const altered = proved()
  const frame = Buffer.from(frameOf(altered.a, BEAT))
  frame[5]! ^= 1
  assert.equal(refusalOf(altered.b, frame), 'forged')

  const code = proved()
  const tail = Buffer.from(frameOf(code.a, BEAT))
  tail[tail.length - 1]! ^= 0x80
  assert.equal(refusalOf(code.b, tail), 'forged')

  const cut = proved()
  assert.equal(refusalOf(cut.b, frameOf(cut.a, BEAT).subarray(0, -1)), 'forged')
  const short = proved()
  assert.equal(refusalOf(short.b, frameOf(short.a, BEAT).subarray(0, 15)), 'malformed')

  const again = proved()
  const once = frameOf(again.a, BEAT)
  assert.equal(refusalOf(again.b, once), undefined)
  assert.equal(refusalOf(again.b, once), 'forged')

  const order = proved()
  frameOf(order.a, BEAT)
  assert.equal(refusalOf(order.b, frameOf(order.a, BEAT)), 'forged', 'the one before is missing')

  const back = proved()
  assert.equal(refusalOf(back.a, frameOf(back.a, BEAT)), 'forged', 'its own message')
  assert.equal(refusalOf(proved().b, frameOf(proved().a, BEAT)), 'forged', 'of another connection')
})

test('after a refusal nothing is heard any more', () => {
  const { a, b } = proved()
  const good = frameOf(a, { type: 'shards', put: [shardOf(1)], drop: [], isPartial: false })
  assert.equal(refusalOf(b, new Uint8Array(20)), 'forged')
  assert.equal(b.session.isProved, false)
  assert.equal(b.session.receive(good), null)
  assert.throws(() => b.session.send({ type: 'bye' }))
})

test('a longer frame than allowed is malformed, whatever is in it', () => {
  assert.equal(refusalOf(speaker('acceptor'), new Uint8Array(256 * 1024)), 'malformed')
  const waiting = speaker('acceptor')
  waiting.session.receive(speaker('initiator', SECRET).sent[0]!)
  assert.equal(refusalOf(waiting, new Uint8Array(256 * 1024)), 'malformed')
})
