/**
 * Random messages on 50 connections against a `seed` process: it lives, stays small and serves. An unguarded
 * engine ran out of memory within 25 such connections.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import bencode from 'bencode'
import { TEST_SEED } from '../helpers/random.ts'
import { residentBytes } from '../helpers/resident-bytes.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { extended, ID, meet, message, type RawPeer, uint32 } from './raw-peer.ts'
import { seedProcess } from './seed-process.ts'
import { fetchContent, startClient } from './swarm-kit.ts'

const CONNECTIONS = 50
const MESSAGES_PER_CONNECTION = 200
const MAX_GROWTH_BYTES = 100 * 1024 * 1024

const VALID: readonly Buffer[] = [
  Buffer.from(
    bencode.encode({ m: { ut_metadata: 1, ut_pex: 2, lt_donthave: 3 }, metadata_size: 100, reqq: 5 }),
  ),
  Buffer.from(bencode.encode({ msg_type: 0, piece: 0 })),
  Buffer.concat([Buffer.from(bencode.encode({ msg_type: 1, piece: 0, total_size: 9 })), Buffer.alloc(9)]),
  Buffer.from(bencode.encode({ added: 'x'.repeat(60), 'added.f': 'y'.repeat(10), dropped: 'z'.repeat(6) })),
]

/** A number that is often in range and sometimes far out of it. */
function nasty(random: SeededBytes): number {
  const pick = random.nextUint32()
  return [pick % 4, pick % 300, 16_384, 0x7fffffff, 0xffffffff, pick][pick % 6] ?? 0
}

function damaged(random: SeededBytes): Buffer {
  const bytes = Buffer.from(VALID[random.nextUint32() % VALID.length]!)
  for (let edits = random.nextUint32() % 4; edits > 0; edits--) {
    const at = random.nextUint32() % bytes.length
    bytes[at] = random.nextUint32() % 2 === 0 ? random.nextUint32() : '0123456789-:delix'.charCodeAt(at % 17)
  }
  return bytes
}

function randomMessage(random: SeededBytes): Buffer {
  const id = random.nextUint32() % 22
  switch (random.nextUint32() % 8) {
    case 0:
      return message(id, Buffer.from(random.next(random.nextUint32() % 64)))
    case 1:
    case 2:
      return message(ID.request, uint32(nasty(random), nasty(random), nasty(random)))
    case 3:
    case 4:
      return extended(random.nextUint32() % 5, damaged(random))
    case 5:
      return message(id, uint32(nasty(random)))
    case 6:
      return message(ID.interested)
    default:
      return message(
        id,
        uint32(nasty(random), nasty(random)),
        Buffer.from(random.next(random.nextUint32() % 2_000)),
      )
  }
}

test('a storm of random messages on 50 connections', { timeout: 90_000 }, async (t) => {
  const label = `GGUF_TEST_SEED=${TEST_SEED}`
  t.diagnostic(label)
  const random = new SeededBytes(TEST_SEED)
  const host = await seedProcess(t)
  const { port, content } = host
  const before = residentBytes(host.pid)
  let peak = before
  let connections = 0
  let messages = 0
  while (connections < CONNECTIONS) {
    const peers = await Promise.all(Array.from({ length: 5 }, () => meet(t, port, content)))
    connections += peers.length
    // Each has a choice of its own, as how far the others are is not for the seed to say.
    await Promise.all(peers.map((peer) => rage(peer, new SeededBytes(random.nextUint32()))))
    peak = Math.max(peak, residentBytes(host.pid))
    for (const peer of peers) peer.socket.destroy()
  }
  async function rage(peer: RawPeer, own: SeededBytes): Promise<void> {
    for (let sent = 0; sent < MESSAGES_PER_CONNECTION && !peer.closed; sent++) {
      messages++
      await new Promise<void>((resolve) => peer.socket.write(randomMessage(own), () => resolve()))
    }
  }
  const client = await startClient(t)
  const fetched = await fetchContent(t, client, content, { from: [{ host: '127.0.0.1', port }] })
  assert.ok((await fetched.done()).equals(await readFile(content.path)), label)
  assert.equal(host.ended(), false, label)
  const growth = Math.max(peak, residentBytes(host.pid)) - before
  t.diagnostic(`${messages} messages were sent, the process grew by ${Math.round(growth / 1024 / 1024)} MB`)
  assert.ok(growth < MAX_GROWTH_BYTES, `${label}: grew by ${growth} bytes`)
})
