/** Parts of a snapshot that are worked out from the rest: a host as the page shows it, and the sums of a fleet. */
import type { KnownHost } from '../membership/roster.ts'
import type { FleetTotals, HostStatus, ModelStatus, ShardStatus } from '../status.ts'

export function hostStatus({ info, address, state, seenAt, shards }: KnownHost): HostStatus {
  let seeding = 0
  for (const shard of shards.values()) if (shard.state === 'seeding') seeding++
  const { hostId, name, version, replicating, freeDiskBytes, uploadBytesPerSecond, downloadBytesPerSecond } =
    info
  const { rottenShards, recheckedAt = null } = info.integrity ?? {}
  return {
    hostId,
    name,
    address,
    version,
    state,
    onlineSince: new Date(info.startedAt).toISOString(),
    seenAt: new Date(seenAt).toISOString(),
    uploadBytesPerSecond: state === 'online' ? uploadBytesPerSecond : 0,
    downloadBytesPerSecond: state === 'online' ? downloadBytesPerSecond : 0,
    freeDiskBytes,
    replicating,
    seeding,
    fetching: shards.size - seeding,
    ...(info.strangersRefused !== undefined && { strangersRefused: info.strangersRefused }),
    ...(info.keptOut !== undefined && { keptOut: info.keptOut }),
    ...(rottenShards !== undefined && { rottenShards }),
    ...(recheckedAt !== null && { recheckedAt: new Date(recheckedAt).toISOString() }),
  }
}

export function totalsOf(
  hosts: readonly HostStatus[],
  models: readonly ModelStatus[],
  shards: readonly ShardStatus[],
): FleetTotals {
  const sum = <T>(list: readonly T[], value: (item: T) => number): number =>
    list.reduce((total, item) => total + value(item), 0)
  const hostsOnline = hosts.filter(({ state }) => state === 'online').length
  return {
    hostsOnline,
    hostsLost: hosts.length - hostsOnline,
    models: models.length,
    wholeModels: models.filter(({ missing }) => missing.length === 0).length,
    shards: shards.length,
    copies: sum(shards, ({ wholeSeeds }) => wholeSeeds),
    bytes: sum(shards, ({ length }) => length),
    copiesBytes: sum(shards, ({ length, wholeSeeds }) => length * wholeSeeds),
    uploadBytesPerSecond: sum(hosts, ({ uploadBytesPerSecond }) => uploadBytesPerSecond),
    downloadBytesPerSecond: sum(hosts, ({ downloadBytesPerSecond }) => downloadBytesPerSecond),
  }
}
