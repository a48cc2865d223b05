/** Transmission and gguf-swarm. */
import { transmission } from '../helpers/clients/transmission.ts'
import { interopTest } from './scenario.ts'

interopTest(transmission, {
  fetchByMagnetMs: 75_000,
  fetchByTorrentFileMs: 60_000,
  getByInfoHashMs: 60_000,
  getByTorrentFileMs: 60_000,
})
