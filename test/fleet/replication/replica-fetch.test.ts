/** One shard on its way into a host's folder. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaFetch } from '../../../src/fleet/replication/replica-fetch.ts'
import { temporaryFolder } from '../../helpers/temp.ts'
import { fakePool, fakeSwarm, holdTime } from '../download/fake-swarm.ts'
import { offered } from './simulated-fleet.ts'

test('nobody is blamed for silence before being asked: what is there may have to be hashed first', async (t) => {
  const folder = await temporaryFolder(t)
  const pass = holdTime(t)
  const swarm = fakeSwarm()
  swarm.isHidden = true
  const settings = {
    network: swarm.network,
    pool: fakePool(),
    folder,
    shard: offered(1),
    peers: [],
    claimMs: 0,
  }
  const fetch = new ReplicaFetch(settings)
  let failure: unknown
  const running = fetch.run().catch((error: unknown) => {
    failure = error
  })
  await swarm.next()
  await pass(60_000)
  assert.equal(failure, undefined)
  swarm.isHidden = false
  await pass(19_000)
  assert.equal(failure, undefined)
  await pass(3_000)
  await running
  assert.match(String(failure), /have sent nothing for 20 s/)
})
