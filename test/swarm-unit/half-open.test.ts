/** Half-open connections: a peer that vanished without a word is left, one that says it is alive is not. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { outgoingWire } from '../../src/swarm/wire/wire-guard.ts'
import { readerOf } from '../../src/swarm/wire/wire-reader.ts'

/** The engine says that it is alive every 55 s, so that these are ten minutes. */
const KEEP_ALIVES = 11
const KEEP_ALIVE = Buffer.alloc(4)

test('a peer that says nothing for minutes is left', async () => {
  const wire = outgoingWire()
  const finished = once(wire, 'finish')
  wire.keepAlive()
  wire.keepAlive()
  wire.keepAlive()
  await setImmediate()
  assert.equal(wire._finished, false, 'two and a half minutes are within what BEP 3 allows, and a bit')
  for (let count = 3; count < KEEP_ALIVES; count++) wire.keepAlive()
  await finished
})

test('a peer that only ever says that it is alive stays', async () => {
  const wire = outgoingWire()
  for (let count = 0; count < KEEP_ALIVES; count++) {
    wire.keepAlive()
    if (count % 2 === 1) readerOf(wire).feed(KEEP_ALIVE)
  }
  await setImmediate()
  assert.equal(wire._finished, false)
  wire.destroy()
})
