/** Deluge and gguf-swarm. */
import { deluge } from '../helpers/clients/deluge.ts'
import { interopTest } from './scenario.ts'

interopTest(deluge, {
  fetchByMagnetMs: 60_000,
  fetchByTorrentFileMs: 60_000,
  getByInfoHashMs: 60_000,
  getByTorrentFileMs: 60_000,
})
