/** `model`: a model of four shards, each from a host of its own. */
import { rm } from 'node:fs/promises'
import { aria2 } from '../clients/aria2.ts'
import type { Client, Seeding } from '../clients/client.ts'
import { libtorrent } from '../clients/libtorrent.ts'
import { ours } from '../clients/ours.ts'
import { assertSameBytes } from '../files.ts'
import type { Bench, Contender, ReadyRow, Row } from '../model.ts'
import { costSince, sumCosts } from '../processes.ts'
import { Tracker } from '../tracker.ts'
import { anyMoment } from './any-moment.ts'
import { present } from './present.ts'
import { pullOnce } from './pull.ts'

const SHARDS = 4

export const modelRow: Row = {
  name: 'model',
  title: 'get of a 4-shard model from 4 hosts (libtorrent seeders)',
  unit: 'MB/s',
  better: 'more',
  target: 2.5,

  async prepare(bench: Bench): Promise<ReadyRow> {
    const files = await Promise.all(Array.from({ length: SHARDS }, (_, index) => bench.file(index)))
    const hosts: Seeding[] = []
    const tracker = await Tracker.start(bench.address)
    for (const file of files) {
      const folder = await bench.folder('seed')
      const host = await libtorrent.seed!({ file, folder, address: bench.address })
      hosts.push(host)
      tracker.set(file.infoHash, [host.peer])
    }
    const { there, missing } = present(bench, [ours, aria2, libtorrent])
    const bytes = files.reduce((sum, { length }) => sum + length, 0)
    const contender = (client: Client): Contender => ({
      name: client.name,
      async run() {
        const folder = await bench.folder(`model-${client.name}`)
        await anyMoment()
        const before = hosts.map((host) => host.cost())
        const wanted = files.map((file, index) => ({ file, peer: hosts[index]!.peer }))
        const got = await client.get!({ wanted, folder, address: bench.address, tracker })
        const seed = sumCosts(hosts.map((host, index) => costSince(before[index]!, host.cost())))
        for (const [index, { path }] of files.entries()) assertSameBytes(path, got.paths[index]!)
        await rm(folder, { recursive: true, force: true })
        return { value: bytes / 1e3 / got.tookMs, sides: { get: got.cost, seed }, bytes }
      },
    })
    const shards = files.map((file, index) => ({ file, seeding: hosts[index]! }))
    return {
      contenders: [...there.map(contender), pullOnce(shards)],
      missing,
      async [Symbol.asyncDispose]() {
        await Promise.all(hosts.map((host) => host.stop()))
        await tracker[Symbol.asyncDispose]()
      },
    }
  },
}
