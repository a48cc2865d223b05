/** aria2 and gguf-swarm. Measured: 8–20 s to fetch either way, most of it the start of its DHT; 4–12 s for `get`. */
import { aria2 } from '../helpers/clients/aria2.ts'
import { interopTest } from './scenario.ts'

interopTest(aria2, {
  fetchByMagnetMs: 60_000,
  fetchByTorrentFileMs: 60_000,
  getByInfoHashMs: 40_000,
  getByTorrentFileMs: 40_000,
})
