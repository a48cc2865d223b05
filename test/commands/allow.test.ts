/** `--allow`: networks as people write them, and what contradicts them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowedPeers } from '../../src/commands/allow.ts'

const address = (host: string) => ({ host, port: 51820 })
const privately = (host: string) => ({ kind: 'private', bootstrap: [address(host)] }) as const

test('without the option everybody is allowed', () => {
  assert.equal(allowedPeers({}, { dht: { kind: 'public' } }), undefined)
})

test('networks add up, and what is named elsewhere must lie in one', () => {
  const allow = ['10.0.0.0/8', 'fd00::/8', '192.0.2.7']
  const allowed = allowedPeers({ allow }, { dht: privately('10.1.2.3'), peers: [address('192.0.2.7')] })
  assert.ok(allowed?.allows('fd12::1') && !allowed.allows('192.0.2.8'))
  // A bootstrap on this machine, and one that has only a name so far.
  assert.ok(allowedPeers({ allow }, { dht: privately('127.0.0.1') }))
  assert.ok(allowedPeers({ allow }, { dht: privately('boot.example') }))
  for (const [wanted, words] of [
    [{ dht: privately('192.0.2.1') }, /--bootstrap 192\.0\.2\.1:51820 is in no network/],
    [{ peers: [address('11.0.0.1')] }, /--peer 11\.0\.0\.1:51820 is in no network/],
    [{ dht: { kind: 'public' } }, /--public/],
    [{ webSeeds: true }, /--web-seed/],
  ] as const) {
    assert.throws(() => allowedPeers({ allow }, wanted), { code: 'not-allowed', message: words })
  }
})

test('what is no network is said', () => {
  for (const text of ['10.0.0.0/33', 'example.org', '10.0.0.0/', '']) {
    assert.throws(() => allowedPeers({ allow: [text] }), { code: 'bad-network' }, text)
  }
})
