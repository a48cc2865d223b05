/** aria2, by its command line. */
import { join } from 'node:path'
import { program } from '../../helpers/requirements.ts'
import { freeTcpPort } from '../../helpers/swarm.ts'
import { withTracker } from '../files.ts'
import { MeasuredProcess } from '../processes.ts'
import { type Client, TRANSFER_TIMEOUT_MS } from './client.ts'
import { untilListening } from './listening.ts'

const COMMON = [
  '--enable-dht=false',
  '--bt-enable-lpd=false',
  '--enable-peer-exchange=false',
  '--summary-interval=0',
  '--console-log-level=warn',
  '--file-allocation=none',
  '--no-conf=true',
]

export const aria2: Client = {
  name: 'aria2',
  requirements: [program('aria2c')],

  async get({ wanted, folder, address, tracker }) {
    const torrents = await Promise.all(
      wanted.map(({ file }) => withTracker(file, tracker.url, join(folder, `${file.name}.torrent`))),
    )
    const args = [
      ...COMMON,
      `--dir=${folder}`,
      '--seed-time=0',
      `--listen-port=${await freeTcpPort(address)}`,
    ]
    const process_ = new MeasuredProcess('aria2c', [...args, `-j${wanted.length}`, ...torrents], {
      env: { HOME: folder },
    })
    await process_.success(TRANSFER_TIMEOUT_MS)
    return {
      tookMs: process_.endedAt! - process_.startedAt,
      paths: wanted.map(({ file }) => join(folder, file.name)),
      cost: process_.cost(),
    }
  },

  async seed({ file, folder, address }) {
    const port = await freeTcpPort(address)
    // It takes its user's word that the file is whole, as the others are made to.
    const args = [...COMMON, `--dir=${file.folder}`, `--listen-port=${port}`]
    const seeds = ['--seed-ratio=0.0', '--bt-seed-unverified=true', '--allow-overwrite=true']
    const process_ = new MeasuredProcess('aria2c', [...args, ...seeds, file.torrentFile], {
      env: { HOME: folder },
    })
    await untilListening(address, port, () => process_.endedAt !== undefined)
    return {
      pid: process_.pid,
      peer: { host: address, port },
      cost: () => process_.cost(),
      stop: () => process_.stop(),
    }
  },
}
