/** Shards by HTTP: whole, in part, under hostile paths, and never when they are not what was hashed. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hashFile } from '../../src/library/hash-file.ts'
import { pieceLengthFor } from '../../src/metainfo/piece-length.ts'
import { readRange } from '../../src/web/range.ts'
import { Transfers } from '../../src/web/transfers.ts'
import { until } from '../helpers/until.ts'
import { ask, rawSocket } from './clients.ts'
import { MadeSource, startWeb } from './fleet-kit.ts'
import { makeShelf, SHARD_BYTES } from './shelf-kit.ts'

const WITHIN = { timeoutMs: 10_000 }

test('one range of bytes, as HTTP writes it', () => {
  const cases: readonly (readonly [string | undefined, ReturnType<typeof readRange>])[] = [
    [undefined, null],
    ['bytes=0-0', { start: 0, end: 1 }],
    ['bytes=10-', { start: 10, end: 100 }],
    ['bytes = 10 - 500', { start: 10, end: 100 }],
    ['bytes=-10', { start: 90, end: 100 }],
    ['bytes=-500', { start: 0, end: 100 }],
    ['bytes=99-', { start: 99, end: 100 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    // A server may ignore these, and answers with the whole.
    ['bytes=5-4', null],
    ['bytes=0-1,3-4', null],
    ['bytes=-', null],
    ['bytes=a-b', null],
    ['items=0-1', null],
    [`bytes=${'9'.repeat(16)}-`, null],
  ]
  for (const [header, expected] of cases) assert.deepEqual(readRange(header, 100), expected, header)
})

async function startShelf(t: TestContext, names: readonly string[]) {
  const { shelf, ...made } = await makeShelf(t, names)
  const source = new MadeSource({ hosts: [], shards: [] })
  const { server, warnings } = await startWeb(t, source, {}, { files: shelf })
  const get = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const response = await fetch(new URL(path, server.url), { headers, method })
    return { response, body: Buffer.from(await response.arrayBuffer()) }
  }
  return { ...made, get, warnings, port: server.port }
}

test('whole, in part, by HEAD, and not again for who has it', async (t) => {
  const { files, get } = await startShelf(t, ['a b.gguf'])
  const [file] = files
  assert.ok(file)
  const { response, body } = await get('/files/a%20b.gguf')
  assert.equal(response.status, 200)
  assert.ok(body.equals(file.bytes))
  const header = (name: string): string | null => response.headers.get(name)
  assert.equal(header('etag'), `"${file.sha256}"`)
  assert.equal(header('accept-ranges'), 'bytes')
  assert.equal(header('content-length'), String(SHARD_BYTES))
  assert.equal(header('content-disposition'), `attachment; filename="a_b.gguf"; filename*=UTF-8''a%20b.gguf`)
  const digest = createHash('sha256').update(file.bytes).digest('base64')
  assert.equal(header('repr-digest'), `sha-256=:${digest}:`)
  const part = await get(`/files/${file.infoHash.toUpperCase()}/a%20b.gguf`, {
    Range: 'bytes=1000000-2100000',
  })
  assert.equal(part.response.status, 206)
  assert.equal(part.response.headers.get('content-range'), `bytes 1000000-2100000/${SHARD_BYTES}`)
  assert.ok(part.body.equals(file.bytes.subarray(1_000_000, 2_100_001)))
  const head = await get('/files/a%20b.gguf', { Range: 'bytes=-5' }, 'HEAD')
  assert.deepEqual(
    [head.response.status, head.response.headers.get('content-length'), head.body.length],
    [200, String(SHARD_BYTES), 0],
  )
  const beyond = await get('/files/a%20b.gguf', { Range: `bytes=${SHARD_BYTES}-` })
  assert.deepEqual(
    [beyond.response.status, beyond.response.headers.get('content-range')],
    [416, `bytes */${SHARD_BYTES}`],
  )
  assert.equal((await get('/files/a%20b.gguf', { 'If-None-Match': `"${file.sha256}"` })).response.status, 304)
  const changed = await get('/files/a%20b.gguf', { Range: 'bytes=0-9', 'If-Range': '"other"' })
  assert.equal(changed.body.length, SHARD_BYTES)
  const { files: listed } = JSON.parse(String((await get('/files')).body))
  assert.deepEqual(listed, [
    {
      ...{ name: 'a b.gguf', length: SHARD_BYTES, infoHash: file.infoHash, sha256: file.sha256 },
      path: `/files/${file.infoHash}/a%20b.gguf`,
    },
  ])
})

test('no path leads outside, and two shards of one name are told apart', async (t) => {
  const { files, get, port, folder } = await startShelf(t, ['x.gguf', 'x.gguf'])
  await writeFile(join(folder, 'secret.gguf'), 'secret')
  await symlink(join(folder, 'secret.gguf'), join(folder, 'shards', 'link.gguf'))
  assert.equal((await get('/files/x.gguf')).response.status, 404)
  for (const { infoHash, bytes } of files) {
    assert.ok((await get(`/files/${infoHash}/x.gguf`)).body.equals(bytes))
  }
  const hostile = [
    '../secret.gguf',
    '..%2f..%2fsecret.gguf',
    '%2e%2e/secret.gguf',
    'link.gguf',
    '%ff',
    '%00',
    'a/b/c',
    `${files[0]?.infoHash}/../../secret.gguf`,
    `${files[0]?.infoHash}/y.gguf`,
    `${'0'.repeat(40)}/x.gguf`,
    '/etc/passwd',
    '__proto__',
  ]
  for (const path of hostile) assert.equal((await ask(`/files/${path}`, { port })).status, 404, path)
  assert.equal((await ask('/filesx', { port })).status, 404)
  assert.equal((await ask('/files/x.gguf', { port, method: 'POST' })).status, 405)
  assert.equal((await ask('/files', { port, headers: { host: 'evil.example' } })).status, 403)
})

test('what is not what was hashed is not given away; new records are seen', async (t) => {
  const { files, records, get, warnings } = await startShelf(t, ['x.gguf'])
  const [file] = files
  assert.ok(file)
  await appendFile(file.path, 'x')
  assert.equal((await get('/files/x.gguf')).response.status, 404)
  const length = SHARD_BYTES + 1
  const hashed = hashFile({ path: file.path, name: 'x.gguf', pieceLength: pieceLengthFor(length) })
  assert.ok(hashed.kind === 'hashed')
  await records.save({ ...hashed, path: file.path })
  await until(async () => (await get('/files/x.gguf')).body.length === length, { timeoutMs: 10_000 })
  assert.deepEqual(warnings, [])
})

test('one address elsewhere has a quarter of the transfers, and this machine all that are left', () => {
  const transfers = new Transfers()
  const begun = (address: string): number => {
    let count = 0
    while (transfers.begin(address)) count++
    return count
  }
  assert.deepEqual(['10.0.0.1', '10.0.0.2', '127.0.0.1', '10.0.0.3'].map(begun), [16, 16, 32, 0])
  transfers.end('10.0.0.1')
  assert.deepEqual(['10.0.0.2', '10.0.0.1'].map(begun), [0, 1])
})

test('who goes before the file is open leaves no transfer behind', async (t) => {
  const { shelf } = await makeShelf(t, ['x.gguf'])
  const gate = Promise.withResolvers<void>()
  const shards = shelf.shards.bind(shelf)
  let asked = 0
  shelf.shards = async () => {
    if (++asked <= 64) await gate.promise // as slow as a disk may be
    return shards()
  }
  const { server } = await startWeb(t, new MadeSource({ hosts: [], shards: [] }), {}, { files: shelf })
  const request = `GET /files/x.gguf HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`
  const gone = Array.from({ length: 64 }, () => rawSocket(t, server.port, request).socket)
  await until(() => asked === 64, WITHIN)
  for (const socket of gone) socket.resetAndDestroy()
  assert.equal((await ask('/healthz', server)).status, 200) // who comes after them is answered after them
  gate.resolve()
  await until(async () => (await ask('/files/x.gguf', server)).status === 200, { ...WITHIN, what: 'room' })
})

test('without --serve there are no files', async (t) => {
  const { server } = await startWeb(t, new MadeSource({ hosts: [], shards: [] }))
  assert.equal((await ask('/files', { port: server.port })).status, 404)
})
