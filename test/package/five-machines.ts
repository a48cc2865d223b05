/**
 * Five minutes for somebody who runs llama.cpp on five machines: the commands of the README's "Your machines", one by
 * one, by somebody who starts with a tarball and a folder of models on the first machine. Part of `npm run
 * test:install`; prints how long each step took.
 */
import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeSplitModel } from '../helpers/fleet.ts'
import { skipWithout, testNetwork } from '../helpers/netns.ts'
import { type RunningProcess, startProcess } from '../helpers/process.ts'
import { ended, type Got, PATIENCE_MS, scratchFolder, untilSaid } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { environmentOf, type Installed, installGlobally, pack, THIS_NODE } from './package-kit.ts'

const SHARDS = 4
const SHARD_BYTES = 64 * 1024 * 1024
/** What the issue of it all allows; the commands are typed by then, too. */
const MAX_MS = 5 * 60_000

test('five machines are at home within five minutes', { skip: skipWithout() }, async (t) => {
  const folder = await scratchFolder(t)
  const tarball = await pack(folder)
  const network = testNetwork(t)
  const machines = [1, 2, 3, 4, 5].map((number) => {
    const host = network.host(`m${number}`)
    return { name: `gpu-${number}`, host, home: join(folder, `gpu-${number}`) }
  })
  type Machine = (typeof machines)[number]
  const [first, ...others] = machines as [Machine, ...Machine[]]
  for (const { home } of machines) await mkdir(join(home, 'models'), { recursive: true })
  await writeSplitModel(join(first.home, 'models'), 'my-model', { count: SHARDS, bytes: SHARD_BYTES })

  const begunAt = performance.now()
  let stepAt = begunAt
  const step = (what: string): void => {
    const now = performance.now()
    t.diagnostic(`${((now - stepAt) / 1000).toFixed(1)} s  ${what}`)
    stepAt = now
  }
  const copies = new Map<string, Installed>()
  const exported: Record<string, string> = {}
  const start = ({ name, home, host }: Machine, ...args: string[]): RunningProcess => {
    const { tools, bin } = copies.get(name)!
    return startProcess(t, bin, args, {
      netns: host.netns,
      cwd: home,
      env: environmentOf(tools, { HOME: home, ...exported }),
    })
  }
  const run = async (machine: Machine, ...args: string[]): Promise<Got> => {
    const end = await ended(start(machine, ...args), 2 * PATIENCE_MS)
    assert.equal(end.code, 0, `${args.join(' ')}: ${end.stderr}${end.stdout}`)
    return end
  }

  for (const { name, home } of machines) {
    copies.set(name, await installGlobally(THIS_NODE, tarball, join(home, 'node')))
  }
  step('npm install --global on five machines, one after the other')

  const bootstrap = start(first, 'bootstrap')
  await untilSaid(bootstrap, 'Bootstrap node listening')
  exported['GGUF_SWARM_BOOTSTRAP'] = bootstrap.stdout.trim()
  assert.equal(bootstrap.stdout, `${first.host.address}:51820\n`, 'the address to give to the others')
  step('gguf-swarm bootstrap')

  await run(first, 'key')
  for (const { home } of others) {
    await mkdir(join(home, 'models_cache'), { recursive: true })
    await copyFile(join(first.home, 'models_cache/fleet.key'), join(home, 'models_cache/fleet.key'))
  }
  step('gguf-swarm key, copied to the others')

  const seeding = start(first, 'seed', 'models', '--name', first.name)
  for (const machine of others) start(machine, 'seed', 'models', '--name', machine.name, '--replicate')
  await untilSaid(seeding, '✓ All torrent files registered in DHT')
  step(`gguf-swarm seed on five machines, the first with ${SHARDS} shards of ${SHARD_BYTES} bytes`)

  const wanted = `${SHARDS * machines.length} whole copies`
  const isWhole = async (): Promise<boolean> => (await run(first, 'status')).stdout.includes(wanted)
  await until(isWhole, { timeoutMs: MAX_MS, what: wanted })
  step('gguf-swarm status, again and again until every machine has everything')

  const { stdout } = await run(others[0]!, 'get', 'my-model', '--out', 'downloads')
  assert.equal(stdout.trim(), join(others[0]!.home, 'downloads/my-model-00001-of-00004.gguf'))
  step('gguf-swarm get my-model, to give its path to llama.cpp')

  const { stderr } = await run(first, 'verify', '--report', 'report.md')
  t.diagnostic(/.*VERIFIED.*/.exec(stderr)?.[0] ?? '')
  step('gguf-swarm verify')
  const tookMs = performance.now() - begunAt
  t.diagnostic(`${(tookMs / 1000).toFixed(1)} s in all`)
  assert.ok(tookMs < MAX_MS, `${tookMs} ms`)
})
