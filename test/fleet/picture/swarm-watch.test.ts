/** The look at swarms, and its end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Network } from '../../../src/fleet/network.ts'
import type { FleetPicture } from '../../../src/fleet/picture/fleet-picture.ts'
import { SwarmWatch } from '../../../src/fleet/picture/swarm-watch.ts'
import { offered } from '../replication/simulated-fleet.ts'

test('a lookup that takes its time keeps nobody from stopping', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const shard = offered(1)
  const found = Promise.withResolvers<readonly []>()
  let asked = 0
  const network = {
    findPeers: () => {
      asked++
      return found.promise
    },
  } as unknown as Network
  const looked: unknown[] = []
  const picture = {
    infoHashes: () => [shard.infoHash].values(),
    whereabouts: () => ({ facts: shard, addresses: ['127.0.0.1:1'] }),
    look: (...view: unknown[]) => looked.push(view),
  } as unknown as FleetPicture
  const watch = new SwarmWatch(network, picture)
  t.mock.timers.tick(2_000)
  assert.equal(asked, 1)
  await watch.stop()
  found.resolve([])
  await new Promise(setImmediate)
  assert.deepEqual(looked, [])
})
