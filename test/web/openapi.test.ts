/** The OpenAPI document against what the server really answers, with every property named and nothing left over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { until } from '../helpers/until.ts'
import { ask, FeedClient } from './clients.ts'
import { MadeSource, madeCopy, madeFleet, madeHost, madeShard, startWeb } from './fleet-kit.ts'
import { makeShelf } from './shelf-kit.ts'

interface Json {
  readonly [key: string]: Json
}

/** The same schema, but with nothing allowed that it does not name. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]))
  return 'properties' in inner ? { ...inner, additionalProperties: false } : inner
}

function validator(document: Json): (schema: Json, value: unknown, what: string) => void {
  const ajv = new Ajv2020({
    strict: true,
    allErrors: true,
    formats: { 'date-time': (text: string) => new Date(text).toISOString() === text },
  })
  ajv.addVocabulary(['components'])
  ajv.addSchema({ $id: 'api', components: closed(document['components']) as object })
  return (schema, value, what) => {
    const absolute = JSON.parse(
      JSON.stringify(closed(schema)).replaceAll('"#/components', '"api#/components'),
    )
    const check = ajv.compile(absolute as object)
    assert.ok(check(value), `${what}: ${ajv.errorsText(check.errors)}`)
  }
}

/** A fleet in which every optional thing is there, and every one that may be missing is missing somewhere. */
function fullSource(): MadeSource {
  const since = '2026-03-01T12:00:00.000Z'
  const [whole, partial, lost] = [
    madeHost('a'),
    madeHost('b', { freeDiskBytes: null }),
    madeHost('c', { state: 'lost' }),
  ]
  const seen = { at: since, peers: 3, wholePeers: 2 }
  const shards = [
    madeShard('m', 1, [madeCopy(whole), madeCopy(partial, 7)], { seen, dhtPeersEstimate: 4 }),
    madeShard('m', 2, [], { architecture: null, sizeLabel: null }),
  ]
  const { infoHash } = shards[1]!
  const alarms = [
    { kind: 'no-seeds', severity: 'critical', message: 'x', since, infoHash, model: 'm' },
    { kind: 'host-lost', severity: 'warning', message: 'x', since, hostId: lost.hostId },
  ] as const
  const source = new MadeSource({ hosts: [whole, partial, lost], shards, alarms })
  source.change({}, 'something')
  source.events = [...source.events, { ...source.events[0]!, id: 2, hostId: whole.hostId, infoHash }]
  return source
}

test('every path answers as the document says', async (t) => {
  const source = fullSource()
  const { shelf, files } = await makeShelf(t, ['a b.gguf'])
  const { server } = await startWeb(t, source, {}, { files: shelf })
  const document = JSON.parse((await ask('/api/openapi.json', server)).body) as Json
  assert.match(String(document['openapi']), /^3\.1\./)
  const validate = validator(document)
  const { infoHash } = source.status.shards[0]!
  for (const [path, { get }] of Object.entries(document['paths']!)) {
    if (path === '/ws') continue
    const shown = path.startsWith('/files') ? files[0]!.infoHash : infoHash
    const asked = path.replace('{infoHash}', shown).replace('{name}', 'a%20b.gguf')
    const { status, headers, body } = await ask(asked, server)
    const { description, content } = get!['responses']![String(status)]!
    assert.ok(typeof description === 'string' && status === 200, path)
    const type = String(headers['content-type']).split(';')[0]!
    assert.deepEqual(Object.keys(content!), [type], path)
    const { schema } = content![type]!
    validate(schema!, type === 'application/json' ? JSON.parse(body) : body, path)
  }
  for (const [path, status] of [
    ['/api/shards/{infoHash}', 404],
    ['/files/{infoHash}/{name}', 404],
    ['/api/status', 403],
  ] as const) {
    const headers: Readonly<Record<string, string>> = status === 403 ? { Host: 'evil.example' } : {}
    const answer = await ask(path.replace('{infoHash}', 'ab'.repeat(20)), { port: server.port, headers })
    const { schema } =
      document['paths']![path]!['get']!['responses']![status]!['content']!['application/json']!
    assert.equal(answer.status, status)
    validate(schema!, JSON.parse(answer.body), `${path} ${status}`)
  }
})

test('every message of the feed is as the document says', async (t) => {
  const source = fullSource()
  const { server } = await startWeb(t, source, { tickIntervalMs: 100 })
  const client = await new FeedClient(t, server.liveUrl).ready()
  const next = madeFleet(2, 4)
  source.change({ ...next, alarms: [], isolated: true }, 'all of it changed')
  await until(() => client.messages.some(({ type }) => type === 'patch'), { timeoutMs: 30_000 })
  await until(() => client.messages.some(({ type }) => type === 'tick'), { timeoutMs: 30_000 })
  const document = JSON.parse((await ask('/api/openapi.json', server)).body) as Json
  const validate = validator(document)
  const { schema } = document['paths']!['/ws']!['get']!['responses']!['101']!['content']!['application/json']!
  for (const message of client.messages) validate(schema!, message, message.type)
  const patch = client.messages.find(({ type }) => type === 'patch')
  assert.equal(Object.keys(patch!).length, 10, 'every part of a patch was there')
})

test('the document refers to nothing that is not in it, and names everything once', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  const { body } = await ask('/api/openapi.json', server)
  const document = JSON.parse(body) as Json
  const schemas = Object.keys(document['components']!['schemas']!)
  const refs = new Set([...body.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name))
  assert.deepEqual(
    [...refs].filter((name) => !schemas.includes(name!)),
    [],
  )
  assert.deepEqual(
    schemas.filter((name) => !refs.has(name)),
    [],
    'no schema is unused',
  )
  const ids = [...body.matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id)
  assert.equal(new Set(ids).size, ids.length)
  assert.equal(ids.length, Object.keys(document['paths']!).length)
})
