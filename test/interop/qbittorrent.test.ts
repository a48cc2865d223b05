/** qBittorrent and gguf-swarm. */
import { qbittorrent } from '../helpers/clients/qbittorrent.ts'
import { interopTest } from './scenario.ts'

interopTest(qbittorrent, {
  fetchByMagnetMs: 75_000,
  fetchByTorrentFileMs: 60_000,
  getByInfoHashMs: 60_000,
  getByTorrentFileMs: 60_000,
})
