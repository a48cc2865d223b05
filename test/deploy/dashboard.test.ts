/** The Grafana dashboard asks for nothing that `/metrics` does not have. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { ask } from '../web/clients.ts'
import { MadeSource, madeCopy, madeHost, madeShard, startWeb } from '../web/fleet-kit.ts'

interface Panel {
  readonly id: number
  readonly title: string
  readonly targets: readonly { readonly expr: string; readonly legendFormat?: string }[]
}

const NAME = /\b(?:gguf_swarm|process|nodejs)_\w+/g

test('every metric and label of the dashboard is exposed', async (t) => {
  const text = await readFile(new URL('../../deploy/grafana/gguf-swarm.json', import.meta.url), 'utf8')
  const dashboard = JSON.parse(text) as { readonly panels: readonly Panel[] }
  const hosts = [madeHost('a', { seeding: 1 }), madeHost('b', { state: 'lost' })]
  const shards = [madeShard('m', 1, [madeCopy(hosts[0]!)], { dhtPeersEstimate: 3 })]
  const { server } = await startWeb(t, new MadeSource({ hosts, shards }))
  const { body } = await ask('/metrics', server)
  const exposed = new Map<string, Set<string>>()
  for (const [, name, labels = ''] of body.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label!)
    exposed.set(name!, new Set([...(exposed.get(name!) ?? []), ...names]))
  }
  const asked = new Set(text.match(NAME))
  assert.ok(asked.size > 10)
  // A counter by reason has its first sample when there was a reason.
  const conditional = new Set(['gguf_swarm_turned_away_peers_total', 'gguf_swarm_web_refused_total'])
  for (const name of asked) assert.ok(exposed.has(name) || conditional.has(name), `${name} is not exposed`)
  for (const { title, targets } of dashboard.panels) {
    for (const { expr, legendFormat = '' } of targets) {
      const [name = ''] = expr.match(NAME) ?? []
      const known = new Set([
        ...(exposed.get(name) ?? []),
        'instance',
        ...(conditional.has(name) ? ['reason'] : []),
      ])
      const labels = [...`${expr}`.matchAll(/[{,](\w+)=/g), ...legendFormat.matchAll(/\{\{(\w+)\}\}/g)]
      for (const [, label] of labels) assert.ok(known.has(label!), `${title}: ${name} has no label ${label}`)
    }
  }
  const ids = dashboard.panels.map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length)
})
