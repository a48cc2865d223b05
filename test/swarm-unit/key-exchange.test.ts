/** Encrypted connections (MSE): any two agree on a secret, others' implementations among them, and it costs little. */
import assert from 'node:assert/strict'
import { createDiffieHellman, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import Wire from 'bittorrent-protocol'
import type { KeyExchange } from '../../src/swarm/wire/key-exchange.ts'
import { installWireGuard } from '../../src/swarm/wire/wire-guard.ts'

const PRIME =
  'ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd' +
  'ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563'

/** What a new encrypted connection uses. */
function exchange(): KeyExchange {
  installWireGuard()
  return new Wire('tcpOutgoing', 1)._encryptor!.dh as KeyExchange
}

test('exchanges that are under way at once do not disturb each other', () => {
  const sides = Array.from({ length: 20 }, exchange)
  const keys = sides.map((side) => side.generateKeys())
  const secrets = new Set<string>()
  for (let at = 0; at < sides.length; at += 2) {
    const [first, second] = [sides[at]!.computeSecret(keys[at + 1]!), sides[at + 1]!.computeSecret(keys[at]!)]
    assert.deepEqual(first, second)
    secrets.add(first.toString('hex'))
  }
  assert.equal(secrets.size, sides.length / 2, 'each pair has a secret of its own')
})

test('it is the group of MSE: a stranger with its own implementation agrees, on 96 bytes', () => {
  const stranger = createDiffieHellman(PRIME, 'hex', 2)
  const theirs = stranger.generateKeys()
  // One secret in 256 begins with a zero.
  for (let count = 0; count < 1_000; count++) {
    const side = exchange()
    const secret = side.computeSecret(theirs)
    assert.equal(secret.length, 96)
    assert.deepEqual(secret, stranger.computeSecret(side.generateKeys()))
  }
})

test('keys out of range are refused', () => {
  const least = Buffer.alloc(96, 0)
  least[95] = 1
  const greatest = Buffer.from(PRIME, 'hex')
  greatest[95]! -= 1
  for (const key of [Buffer.alloc(96), least, greatest, Buffer.from(PRIME, 'hex'), Buffer.alloc(96, 0xff)])
    assert.throws(() => exchange().computeSecret(key), RangeError)
})

test('a hundred connections that open with random bytes cost a tenth of a second, not two', () => {
  const before = process.cpuUsage()
  for (let count = 0; count < 100; count++) {
    const side = exchange()
    side.generateKeys()
    side.computeSecret(randomBytes(95))
  }
  const { user, system } = process.cpuUsage(before)
  assert.ok(user + system < 500_000, `${user + system} µs of CPU`)
})
