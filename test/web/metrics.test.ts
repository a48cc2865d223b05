/** `/metrics` as Prometheus reads it: every line parsed, values from the snapshot, names that cannot break out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposition } from '../../src/web/exposition.ts'
import { ask, FeedClient } from './clients.ts'
import { MadeSource, madeCopy, madeHost, madeShard, startWeb } from './fleet-kit.ts'

interface Metric {
  readonly type: string
  readonly samples: Map<string, number>
}

const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)$/s

/** The text format 0.0.4, strictly; samples by `name|label=value|…`. */
function parse(text: string): ReadonlyMap<string, Metric> {
  assert.ok(text.endsWith('\n'))
  const metrics = new Map<string, Metric>()
  for (const line of text.slice(0, -1).split('\n')) {
    const [, kind, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (kind === 'HELP') assert.ok(!metrics.has(name!), `${name} twice`)
    else if (kind === 'TYPE') metrics.set(name!, { type: rest!, samples: new Map() })
    else {
      const [, sample, labels = '', value] = SAMPLE.exec(line) ?? []
      const metric = metrics.get(sample ?? '')
      assert.ok(metric !== undefined, `not a sample of a known metric: ${line}`)
      const key = [sample, ...parseLabels(labels)].join('|')
      assert.ok(!metric.samples.has(key), `${key} twice`)
      metric.samples.set(key, Number(value))
    }
  }
  return metrics
}

function parseLabels(text: string): readonly string[] {
  const labels: string[] = []
  LABEL.lastIndex = 0
  for (let at = 0; at < text.length; at = LABEL.lastIndex) {
    const [, name, value] = LABEL.exec(text) ?? []
    assert.ok(name !== undefined && value !== undefined, `labels: ${text}`)
    labels.push(`${name}=${value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped))}`)
  }
  return labels
}

test('the fleet and the process as metrics', async (t) => {
  const [up, lost] = [
    madeHost('a', {
      seeding: 2,
      rottenShards: 1,
      recheckedAt: '2026-03-01T12:00:00.000Z',
      strangersRefused: 4,
      keptOut: { 'peers-flooding': 5 },
    }),
    madeHost('b', { state: 'lost', freeDiskBytes: null }),
  ]
  const shards = [
    madeShard('m', 1, [madeCopy(up)], { dhtPeersEstimate: 3 }),
    madeShard('m', 2, [madeCopy(up), madeCopy(lost, 5)]),
  ] as const
  const since = '2026-03-01T12:00:00.000Z'
  const alarms = [{ kind: 'host-lost', severity: 'critical', message: 'b is lost', since }] as const
  const { server } = await startWeb(t, new MadeSource({ hosts: [up, lost], shards, alarms, isolated: true }))
  await new FeedClient(t, server.liveUrl).ready()
  const { headers, body } = await ask('/metrics', server)
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  const metrics = parse(body)
  const read = (name: string, ...labels: readonly string[]): number | undefined =>
    metrics.get(name)?.samples.get([name, ...labels].join('|'))
  const shardLabels = (at: 0 | 1) => [
    `shard=${shards[at].name}`,
    `infohash=${shards[at].infoHash}`,
    'model=m',
  ]
  const expected: readonly (readonly [number, string, ...string[]])[] = [
    [1, 'gguf_swarm_hosts', 'state=online'],
    [1, 'gguf_swarm_hosts', 'state=lost'],
    [2, 'gguf_swarm_shards'],
    [1, 'gguf_swarm_models'],
    [2, 'gguf_swarm_copies'],
    [1, 'gguf_swarm_shard_whole_seeds', ...shardLabels(0)],
    [1, 'gguf_swarm_shard_fetching_hosts', ...shardLabels(1)],
    [3, 'gguf_swarm_shard_dht_peers_estimate', ...shardLabels(0)],
    [1, 'gguf_swarm_host_up', `host=${up.hostId}`, 'name=a'],
    [0, 'gguf_swarm_host_up', `host=${lost.hostId}`, 'name=b'],
    [1_000_000, 'gguf_swarm_host_upload_bytes_per_second', `host=${up.hostId}`, 'name=a'],
    [1e12, 'gguf_swarm_host_free_disk_bytes', `host=${up.hostId}`, 'name=a'],
    [1, 'gguf_swarm_host_rotten_shards', `host=${up.hostId}`, 'name=a'],
    [4, 'gguf_swarm_host_strangers_refused_total', `host=${up.hostId}`, 'name=a'],
    [5, 'gguf_swarm_host_kept_out_total', `host=${up.hostId}`, 'name=a', 'kind=peers-flooding'],
    [Date.parse(since) / 1000, 'gguf_swarm_host_rechecked_timestamp_seconds', `host=${up.hostId}`, 'name=a'],
    [1, 'gguf_swarm_alarms', 'kind=host-lost'],
    [0, 'gguf_swarm_alarms', 'kind=no-seeds'],
    [2, 'gguf_swarm_turned_away_peers_total', 'reason=wrong-key'],
    [1, 'gguf_swarm_coordinator_isolated'],
    [1, 'gguf_swarm_web_feed_clients'],
    [0, 'gguf_swarm_web_feed_dropped_total', 'reason=slow'],
  ]
  for (const [value, ...key] of expected) assert.equal(read(...key), value, key.join('|'))
  assert.equal(
    metrics.get('gguf_swarm_shard_dht_peers_estimate')?.samples.size,
    1,
    'what is not known is left out',
  )
  assert.equal(metrics.get('gguf_swarm_host_free_disk_bytes')?.samples.size, 1)
  assert.equal(metrics.get('gguf_swarm_host_rotten_shards')?.samples.size, 1)
  assert.equal(metrics.get('gguf_swarm_turned_away_peers_total')?.type, 'counter')
  assert.ok(read('process_resident_memory_bytes')! > 1e7)
  assert.ok(read('process_cpu_seconds_total')! > 0)
  assert.ok(Math.abs(read('process_start_time_seconds')! - (Date.now() / 1000 - process.uptime())) < 2)
})

test('what the guards of the process kept out', async (t) => {
  const defences = {
    datagrams: { accepted: 5, malformed: 4, rateLimited: 3, crashesCaught: 0 },
    stored: { peers: 7, dropped: 2 },
    incoming: { crowding: 1, full: 0, givenUp: 9 },
    wires: { crashesCaught: 0, oversized: 6, flooding: 8, malformed: 10 },
  }
  const source = Object.assign(new MadeSource({ hosts: [], shards: [] }), { defences })
  const { server } = await startWeb(t, source)
  const metrics = parse((await ask('/metrics', server)).body)
  const read = (name: string, ...labels: readonly string[]): number | undefined =>
    metrics.get(`gguf_swarm_${name}`)?.samples.get([`gguf_swarm_${name}`, ...labels].join('|'))
  assert.equal(read('dht_datagrams_total', 'result=rate-limited'), 3)
  assert.equal(read('dht_datagrams_total', 'result=malformed'), 4)
  assert.equal(read('dht_stored_peers'), 7)
  assert.equal(read('dht_stored_peers_dropped_total'), 2)
  assert.equal(read('peer_connections_refused_total', 'reason=given-up'), 9)
  assert.equal(read('peer_connections_closed_total', 'reason=flooding'), 8)
})

test('a name cannot end its label, its line or the text', async (t) => {
  const name = 'a"} 1\ngguf_swarm_hosts{state="online"} 99\n# HELP x \\ \\n \u0000\u001b[2J\u2028 ü \ud800'
  const host = madeHost(name)
  const { server } = await startWeb(
    t,
    new MadeSource({ hosts: [host], shards: [madeShard('m', 1, [], { name })] }),
  )
  const metrics = parse((await ask('/metrics', server)).body)
  const kept = name.toWellFormed()
  const up = metrics.get('gguf_swarm_host_up')
  assert.deepEqual([...up!.samples.keys()], [`gguf_swarm_host_up|host=${host.hostId}|name=${kept}`])
  assert.equal(metrics.get('gguf_swarm_hosts')?.samples.get('gguf_swarm_hosts|state=online'), 1)
})

test('numbers as they are written', () => {
  const samples = [0, -1, 1.5, 1e21, 1e-7, Number.NaN].map((value, index) => ({
    labels: { n: `${index}` },
    value,
  }))
  const text = exposition([{ name: 'x', help: 'a\\b\nc', type: 'gauge', samples }])
  assert.match(text, /^# HELP x a\\\\b\\nc\n# TYPE x gauge\nx\{n="0"\} 0\n/)
  assert.equal(parse(text).get('x')?.samples.size, 6)
  assert.equal(exposition([{ name: 'x', help: '', type: 'gauge', samples: [] }]), '')
})
