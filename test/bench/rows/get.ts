/** `get`: one file from one libtorrent seeder, verified and written. */
import { rm } from 'node:fs/promises'
import { aria2 } from '../clients/aria2.ts'
import type { Client } from '../clients/client.ts'
import { libtorrent } from '../clients/libtorrent.ts'
import { ours } from '../clients/ours.ts'
import { qbittorrent } from '../clients/qbittorrent.ts'
import { transmission } from '../clients/transmission.ts'
import { webtorrent } from '../clients/webtorrent.ts'
import { assertSameBytes } from '../files.ts'
import type { Bench, Contender, ReadyRow, Row } from '../model.ts'
import { costSince } from '../processes.ts'
import { Tracker } from '../tracker.ts'
import { anyMoment } from './any-moment.ts'
import { present } from './present.ts'
import { pullOnce } from './pull.ts'

export const get: Row = {
  name: 'get',
  title: 'get, one seeder (libtorrent), verified and written',
  unit: 'MB/s',
  better: 'more',
  target: 2.5,

  async prepare(bench: Bench): Promise<ReadyRow> {
    const file = await bench.file()
    const seeder = await libtorrent.seed!({
      file,
      folder: await bench.folder('seed'),
      address: bench.address,
    })
    const tracker = await Tracker.start(bench.address)
    tracker.set(file.infoHash, [seeder.peer])
    const { there, missing } = present(bench, [
      ours,
      aria2,
      libtorrent,
      transmission,
      qbittorrent,
      webtorrent,
    ])

    const contender = (client: Client): Contender => ({
      name: client.name,
      async run() {
        const folder = await bench.folder(`get-${client.name}`)
        await anyMoment()
        const before = seeder.cost()
        const wanted = [{ file, peer: seeder.peer }]
        const got = await client.get!({ wanted, folder, address: bench.address, tracker })
        const seed = costSince(before, seeder.cost())
        // Every sample, not the warm-up alone: a client that skips its checks must not win.
        assertSameBytes(file.path, got.paths[0]!)
        await rm(folder, { recursive: true, force: true })
        return {
          value: file.length / 1e3 / got.tookMs,
          sides: { get: got.cost, seed },
          bytes: file.length,
          marks: { tookMs: got.tookMs, ...got.marks },
        }
      },
    })
    return {
      contenders: [...there.map(contender), pullOnce([{ file, seeding: seeder }])],
      missing,
      async [Symbol.asyncDispose]() {
        await seeder.stop()
        await tracker[Symbol.asyncDispose]()
      },
    }
  },
}
