/** libtorrent and gguf-swarm. */
import { libtorrent } from '../helpers/clients/libtorrent.ts'
import { interopTest } from './scenario.ts'

interopTest(libtorrent, {
  fetchByMagnetMs: 75_000,
  fetchByTorrentFileMs: 60_000,
  getByInfoHashMs: 60_000,
  getByTorrentFileMs: 60_000,
})
