/** The end of an engine that failed by itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebTorrent from 'webtorrent'
import type { FailedError } from '../../src/errors.ts'
import { startClient } from '../hostile/swarm-kit.ts'

interface Inside {
  _onListening(): void
  _destroy(error: Error): void
}

test('an engine that failed is told of once, and can be stopped', async (t) => {
  const prototype = WebTorrent.prototype as unknown as Inside
  const { _onListening } = prototype
  let engine: Inside | undefined
  t.mock.method(prototype, '_onListening', function (this: Inside) {
    engine = this
    _onListening.call(this)
  })
  const failures: FailedError[] = []
  const client = await startClient(t, { onFailed: (error) => failures.push(error) })
  engine?._destroy(new Error('accept failed'))
  assert.deepEqual(
    failures.map(({ code, message }) => [code, message]),
    [['engine-failed', 'the BitTorrent engine failed: accept failed']],
  )
  await client.stop()
  await client.stop()
})
