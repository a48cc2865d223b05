/** rTorrent and gguf-swarm. */
import { rtorrent } from '../helpers/clients/rtorrent.ts'
import { interopTest } from './scenario.ts'

interopTest(rtorrent, {
  fetchByMagnetMs: 60_000,
  fetchByTorrentFileMs: 60_000,
  getByInfoHashMs: 60_000,
  getByTorrentFileMs: 60_000,
})
