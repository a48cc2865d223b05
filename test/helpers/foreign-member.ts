/** A member of a fleet in this process, by the product's own parts: it tells and serves whatever a test wants. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { loadKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import { FleetMember } from '../../src/fleet/membership/fleet-member.ts'
import { Network, type NetworkListener, type NetworkOptions } from '../../src/fleet/network.ts'
import { parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import type { OfferedShard } from '../../src/swarm/catalogue/catalogue-entry.ts'
import { afterTest } from './after-test.ts'
import type { Fleet } from './fleet.ts'

/** An engine and a DHT node on free ports of loopback, stopped after the test. */
export async function startNetwork(
  t: TestContext,
  bootstrap: string,
  change: Partial<NetworkOptions> = {},
  listener: NetworkListener = {},
): Promise<Network> {
  const free = { port: 0, required: false }
  const network = await Network.start(
    {
      bind: '127.0.0.1',
      port: free,
      dhtPort: free,
      dht: { kind: 'private', bootstrap: [parsePeerAddress(bootstrap)!] },
      uploadLimit: null,
      maxConns: 100,
      advertise: [],
      nodeId: randomBytes(20).toString('hex'),
      savedNodes: [],
      readOnly: false,
      identity: randomBytes(20).toString('hex'),
      ...change,
    },
    listener,
  )
  afterTest(t, () => network.stop())
  return network
}

export interface ForeignMember {
  readonly network: Network
  /** Tells of a shard, whether it is there or not. */
  offer(shard: OfferedShard): void
  /** Says goodbye and stops; idempotent, and done after the test anyway. */
  leave(): Promise<void>
}

/** Joins the fleet of a key as a host called `liar`. */
export async function joinFleet(
  t: TestContext,
  { bootstrap, keyFile }: Pick<Fleet, 'bootstrap' | 'keyFile'>,
  listener: NetworkListener = {},
): Promise<ForeignMember> {
  const network = await startNetwork(t, bootstrap.address, {}, listener)
  const info = {
    hostId: randomBytes(20).toString('hex'),
    name: 'liar',
    version: '0',
    role: 'host',
    startedAt: Date.now(),
    port: network.client.port,
    replicating: false,
    freeDiskBytes: null,
    uploadBytesPerSecond: 0,
    downloadBytesPerSecond: 0,
  } as const
  const key = await loadKeyFile(keyFile)
  const member = FleetMember.join({ network, key, self: () => info, listener: {}, wantsCatalogues: false })
  afterTest(t, () => member.stop())
  return {
    network,
    offer: (shard) => assert.equal(member.offer(shard), undefined, 'what it would not even tell'),
    leave: async () => {
      await member.stop()
      await network.stop()
    },
  }
}
