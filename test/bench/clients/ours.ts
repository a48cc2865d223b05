/** This program, by its command line. */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { programPath } from '../../helpers/program.ts'
import { MeasuredProcess } from '../processes.ts'
import { type Client, START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from './client.ts'

/** Nobody listens at the discard port: the swarm of the bench is told its peers. */
const NO_BOOTSTRAP_PORT = 9

/** Starts the command line, with a private DHT that is empty unless told; null for what joins none. */
export function startOurs(
  args: readonly string[],
  address: string,
  bootstrap: string | null = `${address}:${NO_BOOTSTRAP_PORT}`,
  netns?: string,
): MeasuredProcess {
  const dht = bootstrap === null ? [] : ['--bootstrap', bootstrap]
  const line = [programPath(), ...args, '--bind', address, ...dht, '--json']
  return new MeasuredProcess(process.execPath, line, { netns })
}

export const ours: Client = {
  name: 'gguf-swarm',
  requirements: [],

  async get({ wanted, folder, address }) {
    const out = join(folder, 'got')
    const ids = wanted.map(({ file }) => file.torrentFile)
    const peers = [...new Set(wanted.map(({ peer }) => `${peer.host}:${peer.port}`))]
    const process_ = startOurs(
      ['get', ...ids, '--out', out, ...peers.flatMap((peer) => ['--peer', peer])],
      address,
    )
    const done = await Promise.all(
      wanted.map(({ file }) =>
        process_.event(
          (event) => event.event === 'done' && event['infoHash'] === file.infoHash,
          TRANSFER_TIMEOUT_MS,
        ),
      ),
    )
    await process_.success(START_TIMEOUT_MS)
    const metadata = await process_.event('metadata', 1)
    return {
      tookMs: process_.endedAt! - process_.startedAt,
      paths: done.map((event) => String(event['path'])),
      cost: process_.cost(),
      marks: {
        metadataMs: metadata.at - process_.startedAt,
        doneMs: Math.max(...done.map(({ at }) => at)) - process_.startedAt,
      },
    }
  },

  join({ file, folder, at, netns, peers }) {
    const args = ['get', file.torrentFile, '--out', join(folder, 'got'), '--seed', '--port', `${at.port}`]
    const dials = peers.flatMap(({ host, port }) => ['--peer', `${host}:${port}`])
    const process_ = startOurs([...args, ...dials], at.host, undefined, netns)
    return {
      up: process_.event('metadata', START_TIMEOUT_MS),
      whole: process_
        .event('done', TRANSFER_TIMEOUT_MS)
        .then((event) => ({ at: event.at, path: String(event['path']) })),
      cost: () => process_.cost(),
      stop: () => process_.stop(),
    }
  },

  async seed({ file, folder, address, netns }) {
    // Kept from sample to sample, beside the shard: a host that starts again hashes nothing.
    const home = join(dirname(file.folder), 'host')
    await mkdir(home, { recursive: true })
    const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', join(folder, 'torrents')]
    const ports = ['--port', '0', '--dht-port', '0']
    const host = startOurs(['seed', file.folder, ...ports, ...folders], address, undefined, netns)
    const listening = await host.event('listening', START_TIMEOUT_MS)
    await host.event('seeding', START_TIMEOUT_MS)
    return {
      pid: host.pid,
      peer: { host: address, port: Number(listening['port']) },
      cost: () => host.cost(),
      stop: () => host.stop(),
    }
  },
}
