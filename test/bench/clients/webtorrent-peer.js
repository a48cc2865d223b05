/**
 * Stock WebTorrent, as its documentation shows it: `node webtorrent-peer.js JSON`, the job much as in
 * libtorrent-bench.py: `{ mode: 'get' | 'seed', torrents: [{ torrentFile, save, peer: [HOST, PORT] }] }`.
 */
import { readFileSync } from 'node:fs'
import WebTorrent from 'webtorrent'

const job = JSON.parse(process.argv[2])
const report = (event, details = {}) => console.log(JSON.stringify({ event, ...details }))

const client = new WebTorrent({
  dht: false,
  tracker: false,
  lsd: false,
  utp: false,
  natUpnp: false,
  natPmp: false,
  webSeeds: false,
})
client.on('error', (error) => {
  console.error(error)
  process.exit(1)
})
let missing = job.torrents.length
client.on('listening', () => {
  report('listening', { port: client.torrentPort })
  for (const { torrentFile, save, peer } of job.torrents) {
    const options = { path: save, announce: [], skipVerify: job.mode === 'seed' }
    const torrent = client.add(readFileSync(torrentFile), options)
    torrent.on('ready', () => {
      if (job.mode === 'seed' && --missing === 0) report('ready')
      if (peer) torrent.addPeer(peer.join(':'))
    })
    torrent.on('done', () => {
      if (job.mode !== 'get' || --missing > 0) return
      report('whole')
      client.destroy(() => process.exit(0))
    })
  }
})
