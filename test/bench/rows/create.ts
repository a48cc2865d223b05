/** `create`: from a new file, its pages in memory, to its torrent. */
import { readFile, rm } from 'node:fs/promises'
import { parseMetainfo } from '../../../src/metainfo/metainfo.ts'
import { type Client, TRANSFER_TIMEOUT_MS } from '../clients/client.ts'
import {
  createTorrentPackage,
  libtorrentCreating,
  mktorrent,
  mktorrentAndSha256,
  oursCreating,
} from '../clients/makers.ts'
import type { Bench, BenchFile, Contender, ReadyRow, Row } from '../model.ts'
import { MeasuredProcess } from '../processes.ts'
import { present } from './present.ts'

/** What is left when all else is free: one SHA-256 of one file is one sequence, whatever the cores. */
const sha256Alone = (file: BenchFile): Contender => ({
  name: 'openssl sha256 alone',
  apart: true,
  async run() {
    const process_ = new MeasuredProcess('openssl', ['dgst', '-sha256', file.path])
    await process_.success(TRANSFER_TIMEOUT_MS)
    const value = process_.endedAt! - process_.startedAt
    return { value, sides: { create: process_.cost() }, bytes: file.length }
  },
})

export const create: Row = {
  name: 'create',
  title: 'new shard to torrent ready, page cache warm (ours with its SHA-256)',
  unit: 'ms',
  better: 'less',
  target: 1 / 1.3,

  async prepare(bench: Bench): Promise<ReadyRow> {
    const file = await bench.file()
    const expected = parseMetainfo(await readFile(file.torrentFile)).pieces
    const clients = [oursCreating, mktorrent, mktorrentAndSha256, libtorrentCreating, createTorrentPackage]
    const { there, missing } = present(bench, clients)
    const contender = (client: Client): Contender => ({
      name: client.name,
      // More work than the others do.
      apart: client === mktorrentAndSha256,
      async run() {
        const folder = await bench.folder('create')
        const made = await client.create!({ file, folder })
        const { pieces } = parseMetainfo(await readFile(made.torrentFile))
        if (Buffer.compare(pieces, expected) !== 0) throw new Error('its piece hashes are wrong')
        await rm(folder, { recursive: true })
        return { value: made.tookMs, sides: { create: made.cost }, bytes: file.length }
      },
    })
    const contenders = [...there.map(contender), sha256Alone(file)]
    return { contenders, missing, async [Symbol.asyncDispose]() {} }
  },
}
