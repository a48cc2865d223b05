/** The test vector of docs/catalogue-protocol.md is what this program says. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { rendezvousOf } from '../../src/fleet/membership/fleet-key.ts'
import { CatalogueSession, type Side } from '../../src/swarm/catalogue/catalogue-session.ts'

const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index)

test('rendezvous, hellos, proofs and a message are those of the document', async () => {
  const text = await readFile(new URL('../../docs/catalogue-protocol.md', import.meta.url), 'utf8')
  const written = (what: string): string =>
    new RegExp(`\\| ${what} \\| \`([0-9a-f]+)\``).exec(text)?.[1] ?? ''
  const sent: Record<Side, Uint8Array[]> = { initiator: [], acceptor: [] }
  const make = (side: Side, byte: number) =>
    new CatalogueSession({
      secret: SECRET,
      side,
      nonce: new Uint8Array(32).fill(byte),
      send: (frame) => sent[side].push(frame),
    })
  const [initiator, acceptor] = [make('initiator', 0xaa), make('acceptor', 0xbb)]
  initiator.start()
  acceptor.start()
  for (let step = 0; step < 2; step++) {
    initiator.receive(sent.acceptor[step]!)
    acceptor.receive(sent.initiator[step]!)
  }
  initiator.send({ type: 'bye' })
  const hex = (frame: Uint8Array | undefined): string => Buffer.from(frame ?? []).toString('hex')
  assert.equal(rendezvousOf({ kind: 'keyed', secret: SECRET, file: 'key' }), written('rendezvous'))
  assert.equal(hex(sent.initiator[0]), written("initiator's hello"))
  assert.equal(hex(sent.acceptor[0]), written("acceptor's hello"))
  assert.equal(hex(sent.initiator[1]), written("initiator's proof"))
  assert.equal(hex(sent.acceptor[1]), written("acceptor's proof"))
  assert.equal(hex(sent.initiator[2]), written("initiator's bye"))
  assert.deepEqual(acceptor.receive(sent.initiator[2]!), { type: 'bye' })
})
