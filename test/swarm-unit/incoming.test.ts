/** Who may connect: how many idle connections one address may hold, and who goes when all places are taken. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { AllowedPeers, parseAddressRange } from '../../src/swarm/allowed-peers.ts'
import { Incoming } from '../../src/swarm/wire/incoming.ts'

/** What is asked of a socket here: how much went out, and that it closes. */
class Line extends EventEmitter {
  bytesWritten = 0
  isClosed = false
  destroy(): this {
    this.isClosed = true
    this.emit('close')
    return this
  }
}

function scene(maxConns: number) {
  let now = 0
  const incoming = new Incoming({ maxConns, now: () => now })
  return {
    incoming,
    pass: (ms: number) => {
      now += ms
    },
    /** A connection from there, or undefined when it is refused. */
    come: (host: string): Line | undefined => {
      if (!incoming.admits(host)) return undefined
      const line = new Line()
      incoming.hold(line as unknown as Socket, host)
      return line
    },
  }
}

test('one address holds a quarter of the places while it does nothing with them', () => {
  const { come, incoming, pass } = scene(40)
  const lines = Array.from({ length: 15 }, () => come('10.0.0.1'))
  assert.equal(lines.filter(Boolean).length, 10)
  assert.equal(incoming.counters.crowding, 5)
  assert.ok(come('::ffff:10.0.0.2'), 'another address has its own')
  lines[0]?.destroy()
  assert.ok(come('10.0.0.1'), 'a closed one makes room')
  // Those that are used do not count.
  for (const line of lines.slice(1, 6)) line!.bytesWritten += 100_000
  assert.ok(come('::ffff:10.0.0.1'), 'the same address as a dual-stack socket calls it')
  pass(200_000)
  assert.equal(come('10.0.0.1'), undefined, 'used long ago is idle now')
})

test('programs of this machine may crowd', () => {
  const { come } = scene(40)
  assert.equal(Array.from({ length: 40 }, () => come('127.0.0.1')).filter(Boolean).length, 40)
})

test('when all places are taken, the address with most idle ones loses the one that has been so longest', () => {
  const { come, incoming, pass } = scene(12)
  const crowd = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].flatMap((host) =>
    Array.from({ length: 3 }, () => {
      pass(1)
      return come(host)!
    }),
  )
  pass(10_000)
  for (const line of crowd.slice(0, 3)) line.bytesWritten = 50_000
  crowd[3]!.destroy() // 10.0.0.2 has two now
  assert.ok(come('10.0.0.9'))
  assert.ok(come('10.0.0.10'))
  assert.deepEqual(
    crowd.map(({ isClosed }) => isClosed),
    [false, false, false, true, false, false, true, false, false, false, false, false],
    'the oldest of an idle crowd, and nobody who is served',
  )
  assert.equal(incoming.counters.givenUp, 1)
})

test('a flood that is quicker than handshakes keeps nobody out, and takes no place that is used', () => {
  const { come, incoming } = scene(12)
  const used = Array.from({ length: 4 }, (_, index) => come(`10.0.0.${index + 1}`)!)
  for (const line of used) line.bytesWritten = 50_000
  for (let number = 0; number < 200; number++) assert.ok(come(`10.1.0.${number}`))
  assert.ok(come('10.0.0.9'))
  assert.ok(used.every(({ isClosed }) => !isClosed))
  assert.equal(incoming.counters.givenUp, 200 + 1 - 8)
})

test('where all are used, the next one is refused', () => {
  const { come, incoming } = scene(2)
  for (const line of [come('10.0.0.1')!, come('10.0.0.2')!]) line.bytesWritten = 50_000
  assert.equal(come('10.0.0.9'), undefined)
  assert.equal(incoming.counters.full, 1)
})

test('no place is lost or counted twice', () => {
  const { come, incoming, pass } = scene(4)
  for (let round = 0; round < 100; round++) {
    const line = come(`10.0.${round}.1`)
    assert.ok(line, `round ${round}`)
    if (round % 2 === 0) line.destroy()
    line.emit('close')
    pass(10_000)
  }
  assert.equal(incoming.counters.full, 0)
})

test('networks are read as CIDR writes them, for IPv4 and IPv6', () => {
  for (const bad of [
    '',
    'x',
    '10.0.0.0/33',
    '10.0.0/8',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    'host.example',
    '/8',
  ]) {
    assert.equal(parseAddressRange(bad), undefined, bad)
  }
  const range = (text: string) => parseAddressRange(text)!
  const allowed = new AllowedPeers([range('10.77.0.0/24'), range('192.0.2.7'), range('fd12::/16')])
  for (const host of [
    '10.77.0.1',
    '::ffff:10.77.0.255',
    '192.0.2.7',
    'fd12:1::1',
    '[fd12::9]',
    'fd12::1%eth0',
  ]) {
    assert.ok(allowed.allows(host), host)
  }
  for (const host of [
    '10.77.1.1',
    '192.0.2.8',
    'fd13::1',
    '::ffff:10.78.0.1',
    'localhost',
    '',
    'fe80::1%eth0',
  ]) {
    assert.ok(!allowed.allows(host), host)
  }
  for (const host of ['127.0.0.1', '127.9.9.9', '::1'])
    assert.ok(allowed.allows(host), `${host} is this machine`)
  assert.ok(new AllowedPeers([range('0.0.0.0/0')]).allows('8.8.8.8'))
  assert.equal(allowed.refusedTotal, 0, 'asking alone counts nothing')
  assert.ok(!allowed.admits('10.78.0.1', 'dials'))
  assert.deepEqual(allowed.refused, { connections: 0, dials: 1, datagramsReceived: 0, datagramsSent: 0 })
})
