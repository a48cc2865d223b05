/** aria2 and gguf-swarm. Measured: its DHT takes 12–20 s to start, whatever it then fetches. */
import { aria2 } from '../helpers/clients/aria2.ts'
import { interopTest } from './scenario.ts'

interopTest(aria2, {
  fetchByMagnetMs: 75_000,
  fetchByTorrentFileMs: 60_000,
  getByInfoHashMs: 60_000,
  getByTorrentFileMs: 60_000,
})
