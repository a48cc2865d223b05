/** `cold-get`: from the start of `get INFOHASH` to its first verified piece, in a private DHT that is up. */
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from '../clients/client.ts'
import { startOurs } from '../clients/ours.ts'
import { assertSameBytes } from '../files.ts'
import type { Bench, ReadyRow, Row, Sample } from '../model.ts'

export const coldGet: Row = {
  name: 'cold-get',
  title: 'cold get by infohash in a private DHT: start of the process to the first verified piece',
  unit: 'ms',
  better: 'less',
  target: null,
  limit: 1_500,
  shown: ['metadata ms', 'done ms'],

  async prepare(bench: Bench): Promise<ReadyRow> {
    const file = await bench.file()
    const home = await bench.folder('bootstrap')
    const bootstrap = startOurs(['bootstrap', '--port', '0', '--state-dir', home], bench.address, null)
    const { port } = await bootstrap.event('listening', START_TIMEOUT_MS)
    const address = `${bench.address}:${port}`
    const folders = ['--state-dir', join(home, 'seed'), '--torrents-dir', join(home, 'torrents')]
    const seed = startOurs(
      ['seed', dirname(file.path), '--port', '0', '--dht-port', '0', ...folders],
      bench.address,
      address,
    )
    await seed.event('announced', START_TIMEOUT_MS)
    const run = async (): Promise<Sample> => {
      const out = await bench.folder('cold')
      const get = startOurs(['get', file.infoHash, '--out', out], bench.address, address)
      const metadata = await get.event('metadata', START_TIMEOUT_MS)
      // Progress is told twice a second: the figure is at most half a second too high.
      const first = await get.event(
        (event) =>
          event.event === 'done' || (event.event === 'progress' && Number(event['verifiedBytes']) > 0),
        START_TIMEOUT_MS,
      )
      const done = await get.event('done', TRANSFER_TIMEOUT_MS)
      await get.success(START_TIMEOUT_MS)
      assertSameBytes(file.path, String(done['path']))
      await rm(out, { recursive: true })
      return {
        value: first.at - get.startedAt,
        sides: { get: get.cost() },
        bytes: file.length,
        marks: { 'metadata ms': metadata.at - get.startedAt, 'done ms': done.at - get.startedAt },
      }
    }
    return {
      contenders: [{ name: 'gguf-swarm', run }],
      missing: [],
      async [Symbol.asyncDispose]() {
        await seed.stop()
        await bootstrap.stop()
      },
    }
  },
}
