/** What is answered to the path of a GET: a fixed table, and two patterns with an infohash. */
import type { FleetStatus, ShardStatus } from '../fleet/status.ts'
import { isInfoHash } from '../metainfo/info-hash.ts'
import { qrSvg } from '../metainfo/qr.ts'
import { type Answer, errorAnswer, fileAnswer, jsonAnswer } from './answer.ts'
import { defenceFamilies } from './defence-metrics.ts'
import { exposition, type Family, METRICS_TYPE } from './exposition.ts'
import { metricFamilies, type WebCounters } from './metrics.ts'
import { openApiDocument } from './openapi.ts'
import type { StatusSource } from './status-source.ts'

/** 40 hex digits, as infohashes are pasted: in either case. */
const SHARD_PATH = /^\/api\/shards\/([^/]{1,64})$/
const QR_PATH = /^\/api\/qr\/([^/]{1,64})\.svg$/

/** Gives the answer for a path without its query; null where there is nothing. */
export type Router = (path: string) => Answer | null

export interface RouterOptions {
  readonly source: StatusSource
  readonly files: ReadonlyMap<string, Answer>
  readonly counters: () => WebCounters
}

export function createRouter({ source, files, counters }: RouterOptions): Router {
  const statusAnswer = perStatus(source, jsonAnswer)
  const modelsAnswer = perStatus(source, ({ time, models }) => jsonAnswer({ time, models }))
  const hostsAnswer = perStatus(source, ({ time, hosts }) => jsonAnswer({ time, hosts }))
  const families = (): readonly Family[] => [
    ...metricFamilies(source.status, counters()),
    ...(source.defences === undefined ? [] : defenceFamilies(source.defences)),
  ]
  const table: Readonly<Record<string, () => Answer>> = {
    '/api/status': statusAnswer,
    '/api/models': modelsAnswer,
    '/api/hosts': hostsAnswer,
    '/api/events': () => jsonAnswer({ time: source.status.time, events: source.events }),
    '/api/openapi.json': () => jsonAnswer(openApiDocument(source.status.coordinator.version)),
    '/metrics': () => ({
      status: 200,
      type: METRICS_TYPE,
      body: Buffer.from(exposition(families())),
    }),
    '/healthz': () => jsonAnswer({ ok: true, isolated: source.status.coordinator.isolated }),
  }
  return (path) => {
    const file = files.get(path)
    if (file !== undefined) return file
    if (Object.hasOwn(table, path)) return table[path]?.() ?? null
    const [, shardId] = SHARD_PATH.exec(path) ?? []
    if (shardId !== undefined) return withShard(source.status, shardId, (shard) => jsonAnswer(shard))
    const [, qrId] = QR_PATH.exec(path) ?? []
    if (qrId !== undefined) return withShard(source.status, qrId, qrAnswer)
    return null
  }
}

/** Put together once for each snapshot, however many ask: 200 hosts with 1,000 shards each are 20 MB of JSON. */
function perStatus(source: StatusSource, make: (status: FleetStatus) => Answer): () => Answer {
  let made: { readonly status: FleetStatus; readonly answer: Answer } | undefined
  return () => {
    const { status } = source
    if (made?.status !== status) made = { status, answer: make(status) }
    return made.answer
  }
}

function withShard(status: FleetStatus, id: string, answer: (shard: ShardStatus) => Answer): Answer {
  const infoHash = id.toLowerCase()
  if (!isInfoHash(infoHash)) {
    return errorAnswer(404, {
      code: 'bad-id',
      message: 'An infohash has 40 hex digits; copy it again in full.',
    })
  }
  const shard = status.shards.find((known) => known.infoHash === infoHash)
  if (shard !== undefined) return answer(shard)
  return errorAnswer(404, {
    code: 'unknown-shard',
    message: `No host of this fleet offers ${infoHash}; /api/status lists what there is.`,
  })
}

function qrAnswer({ magnet, infoHash }: ShardStatus): Answer {
  return fileAnswer('image/svg+xml; charset=utf-8', Buffer.from(qrOf(magnet, infoHash)))
}

/** A name of 255 odd bytes still fits; a link with a long list of peers may not, and the infohash says enough. */
function qrOf(magnet: string, infoHash: string): string {
  try {
    return qrSvg(magnet)
  } catch {
    return qrSvg(`magnet:?xt=urn:btih:${infoHash}`)
  }
}
