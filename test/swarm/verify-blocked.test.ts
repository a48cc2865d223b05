/** `verify` across machines (network namespaces): all sound, then one host's BitTorrent port blocked on the way in. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import { writeModel } from '../helpers/gguf.ts'
import { skipWithout, testNetwork } from '../helpers/netns.ts'
import { startCli } from '../helpers/process.ts'
import { PATIENCE_MS, scratchFolder } from '../helpers/swarm.ts'
import { NAMES, runVerify, SHARD_BYTES } from './verify-kit.ts'

const DHT_PORT = 51820

test('a blocked port is told from a host that is down', { skip: skipWithout() }, async (t) => {
  const network = testNetwork(t)
  const folder = await scratchFolder(t)
  const keyFile = join(folder, 'fleet.key')
  await createKeyFile(keyFile)
  const boot = network.host('boot')
  const state = join(folder, 'bootstrap')
  const listen = ['--bind', boot.address, '--port', String(DHT_PORT), '--state-dir', state]
  const bootstrap = startCli(t, ['bootstrap', ...listen, '--json'], boot)
  await bootstrap.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  const access = ['--bootstrap', `${boot.address}:${DHT_PORT}`, '--fleet-key', keyFile]

  const hosts = await Promise.all(
    [0, 1].map(async (index) => {
      const at = network.host(`host${index}`)
      const home = join(folder, `host-${index}`)
      const shards = join(home, 'shards')
      await mkdir(shards, { recursive: true })
      for (const [seed, name] of NAMES.entries()) {
        await writeModel(join(shards, name), { bytes: SHARD_BYTES, seed })
      }
      const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', join(home, 'torrents')]
      const where = ['--bind', at.address, '--name', `host-${index}`]
      const cli = startCli(t, ['seed', shards, ...access, ...where, ...folders, '--json'], at)
      const { port } = await cli.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
      return { cli, at, port }
    }),
  )
  for (const { cli } of hosts) {
    for (const name of NAMES) {
      const where = (event: { readonly file: string }): boolean => event.file === name
      const { infoHash } = await cli.waitForEvent('seeding', { timeoutMs: PATIENCE_MS, where })
      await cli.waitForEvent('announced', {
        timeoutMs: PATIENCE_MS,
        where: (event) => event.infoHash === infoHash,
      })
    }
  }
  const looker = network.host('looker')
  const fleet = { memberArgs: ['--bind', looker.address, ...access] }
  const strict = ['--expect-hosts', '2', '--expect-copies', '4', '--temp-dir', folder]
  const sound = await runVerify(t, fleet, strict, looker.netns)
  assert.deepEqual(sound.failed, [])
  assert.equal(sound.code, 0)

  // What the host answers from its BitTorrent port goes nowhere, like behind a firewall; it still dials out itself.
  const [, blocked] = hosts
  const rule = ['rule', 'add', 'pref', '10', 'ipproto', 'tcp', 'sport', String(blocked!.port), 'blackhole']
  execFileSync('ip', ['-n', blocked!.at.netns, ...rule])
  const cut = await runVerify(t, fleet, strict, looker.netns)
  assert.equal(cut.code, 1)
  assert.deepEqual(cut.failed, ['reachable', 'whole', 'seeding'])
  const [problem] = cut.checks.get('reachable')!.problems
  assert.ok(problem!.includes(`${blocked!.at.address}:${blocked!.port}`), problem)
  assert.match(problem!, /cannot be reached.*is its BitTorrent port \(TCP\) open\?/)
})
