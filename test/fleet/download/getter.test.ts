/** One download from beginning to end, with a network that does what it is told. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Getter } from '../../../src/fleet/download/getter.ts'
import type { GetState } from '../../../src/fleet/download/getter-options.ts'
import type { DownloadRequest } from '../../../src/swarm/client.ts'
import { temporaryFolder } from '../../helpers/temp.ts'
import { fakePool, fakeSwarm, holdTime, torrentOf } from './fake-swarm.ts'

const NAME = 'shard-0.gguf'
const CONTENT = await readFile(new URL(`../../../fixtures/shards/${NAME}`, import.meta.url))
const { info, infoHash } = torrentOf(NAME, CONTENT)
const ID = { kind: 'infoHash', infoHash, peers: [] } as const
const NEVER = new AbortController().signal

test('a file that stands there may take longer to hash than peers may be silent', async (t) => {
  const out = await temporaryFolder(t)
  await writeFile(join(out, NAME), CONTENT)
  const pass = holdTime(t)
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const pool = fakePool(() => {
    asked.resolve()
    return answer.promise
  })
  const swarm = fakeSwarm()
  const states: GetState[] = []
  const listener = { onEvent: () => undefined, onState: (state: GetState) => void states.push(state) }
  const options = { id: ID, out, peers: [], timeoutMs: 10_000 }
  const running = new Getter(swarm.network, pool, options, listener).run(NEVER)
  const request = await swarm.next()
  request.onMetadata(info)
  await asked.promise
  await pass(60_000)
  assert.deepEqual([states.at(-1)?.phase, states.at(-1)?.stall], ['verifying', null])
  answer.resolve()
  assert.equal((await running).path, join(out, NAME))
})

test('what does not read back is fetched again, and shown as a download', async (t) => {
  const out = await temporaryFolder(t)
  const pass = holdTime(t)
  const swarm = fakeSwarm()
  const phases: string[] = []
  const listener = { onEvent: () => undefined, onState: ({ phase }: GetState) => void phases.push(phase) }
  const options = { id: ID, out, peers: [], timeoutMs: null }
  const running = new Getter(swarm.network, fakePool(), options, listener).run(NEVER)
  const fill = async ({ store, onDone }: DownloadRequest, content: Buffer): Promise<void> => {
    const { handle } = await store.partial
    await handle.write(content, 0, content.length, 0)
    onDone()
  }
  const first = await swarm.next()
  first.onMetadata(info)
  await fill(first, Buffer.alloc(CONTENT.length))
  const second = await swarm.next()
  assert.equal(phases.at(-1), 'verifying')
  await pass(1_000)
  assert.equal(phases.at(-1), 'downloading')
  await fill(second, CONTENT)
  const { path } = await running
  assert.deepEqual(await readFile(path), CONTENT)
})
