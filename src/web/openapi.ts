/** The API as an OpenAPI 3.1 document: what can be asked, and the shape of each answer. */
import { JSON_TYPE } from './answer.ts'
import { METRICS_TYPE } from './exposition.ts'
import { ref, SCHEMAS, type Schema } from './schemas.ts'

const SVG_TYPE = 'image/svg+xml; charset=utf-8'

const content = (type: string, schema: Schema): Schema => ({ [type.split(';', 1)[0] ?? type]: { schema } })

const ok = (description: string, type: string, schema: Schema): Schema => ({
  200: { description, content: content(type, schema) },
})

const refusal = (description: string): Schema => ({ description, content: content(JSON_TYPE, ref('Error')) })

const REFUSALS: Schema = {
  401: refusal('The server asks for its token: Authorization: Bearer, or the cookie of its link.'),
  403: refusal('The Host header names none of its addresses, or the Origin is another site.'),
}

const NOT_THERE: Schema = { 404: refusal('No host offers this infohash, or it is none.') }

interface Operation {
  readonly id: string
  readonly summary: string
  readonly responses: Schema
  readonly parameters?: readonly Schema[]
}

const get = ({ id, summary, responses, parameters = [] }: Operation): Schema => ({
  get: { operationId: id, summary, parameters, responses: { ...responses, ...REFUSALS } },
})

const getJson = (id: string, summary: string, schema: Schema): Schema =>
  get({ id, summary, responses: ok(summary, JSON_TYPE, schema) })

const list = (name: string, items: Schema): Schema => ({
  type: 'object',
  properties: { time: { type: 'string', format: 'date-time' }, [name]: { type: 'array', items } },
  required: ['time', name],
})

const INFO_HASH: Schema = {
  name: 'infoHash',
  in: 'path',
  required: true,
  description: '40 hex digits.',
  schema: { type: 'string', pattern: '^[0-9a-fA-F]{40}$' },
}

const NAME: Schema = {
  name: 'name',
  in: 'path',
  required: true,
  description: 'File name of the shard.',
  schema: { type: 'string' },
}
const RANGE: Schema = {
  name: 'Range',
  in: 'header',
  description: 'One range of bytes (RFC 9110), such as bytes=0-1048575.',
  schema: { type: 'string' },
}

const getFile = (id: string, summary: string, parameters: readonly Schema[]): Schema => {
  const whole = ok('The whole file', 'application/octet-stream', { type: 'string' })
  return get({
    id,
    summary: `${summary}; with web --serve`,
    parameters: [...parameters, RANGE],
    responses: {
      ...whole,
      206: { ...(whole[200] as Schema), description: 'The range that was asked for' },
      304: { description: 'What If-None-Match names is still what it is.' },
      404: refusal('No such shard is served, several are called so, or its file is not what was hashed.'),
      416: { description: 'The range lies past the end; Content-Range tells the length.' },
      503: refusal('Too many downloads run; Retry-After tells when to try again.'),
    },
  })
}

const HEALTH: Schema = {
  type: 'object',
  properties: {
    ok: { const: true },
    isolated: { type: 'boolean', description: 'True while no DHT node answers: nobody new can be found.' },
  },
  required: ['ok', 'isolated'],
}

const PATHS: Schema = {
  '/api/status': getJson('getStatus', 'Everything at one moment', ref('Status')),
  '/api/models': getJson('getModels', 'All models, by name', list('models', ref('Model'))),
  '/api/hosts': getJson('getHosts', 'All hosts, by name', list('hosts', ref('Host'))),
  '/api/events': getJson('getEvents', 'The last 500 events, oldest first', list('events', ref('Event'))),
  '/api/shards/{infoHash}': get({
    id: 'getShard',
    summary: 'One shard',
    parameters: [INFO_HASH],
    responses: { ...ok('The shard', JSON_TYPE, ref('Shard')), ...NOT_THERE },
  }),
  '/api/qr/{infoHash}.svg': get({
    id: 'getQrCode',
    summary: "QR code of a shard's magnet link",
    parameters: [INFO_HASH],
    responses: { ...ok('An image', SVG_TYPE, { type: 'string' }), ...NOT_THERE },
  }),
  '/api/openapi.json': getJson('getOpenApi', 'This document', { type: 'object' }),
  '/files': getJson('getFiles', 'The shards served as files; with web --serve', {
    type: 'object',
    properties: { files: { type: 'array', items: ref('ServedFile') } },
    required: ['files'],
  }),
  '/files/{name}': getFile('getFile', 'A shard, as any download program and web seed client takes it', [
    NAME,
  ]),
  '/files/{infoHash}/{name}': getFile('getFileOf', 'The same, where several have one name', [
    INFO_HASH,
    NAME,
  ]),
  '/metrics': get({
    id: 'getMetrics',
    summary: 'Metrics for Prometheus',
    responses: ok('Text format 0.0.4', METRICS_TYPE, { type: 'string' }),
  }),
  '/healthz': getJson('getHealth', 'Answers while the coordinator lives', HEALTH),
  '/ws': get({
    id: 'openLiveFeed',
    summary: 'The live feed, a WebSocket; the same on the live port at any path',
    responses: {
      101: {
        description:
          'Text frames from the server only: one SnapshotMessage, then PatchMessage and TickMessage. seq grows by 1 with ' +
          'each patch; what did not change is left out; put holds whole rows, drop host ids, model names or infohashes; ' +
          'rows that are put replace all of their key, as sets of different sizes may share a name.',
        content: content(JSON_TYPE, {
          oneOf: [ref('SnapshotMessage'), ref('PatchMessage'), ref('TickMessage')],
        }),
      },
      503: { description: 'Too many are watching.' },
    },
  }),
}

/** The document; `version` is the server's. */
export function openApiDocument(version: string): Schema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'gguf-swarm coordinator',
      version,
      description:
        'What a coordinator knows of its fleet. Only GET and HEAD. Lengths are bytes, times ISO 8601 in UTC. New properties ' +
        'may be added; none changes its meaning.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    // Either: a server that only its own machine can reach asks for nothing.
    security: [{}, { token: [] }],
    paths: PATHS,
    components: { schemas: SCHEMAS, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  }
}
