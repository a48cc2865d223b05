/**
 * Transmission and gguf-swarm. Measured: its DHT asks and announces nothing in the first 60-90 s, and nothing at
 * all where fewer than some ten nodes answer; the bootstrap's companion nodes are there for that.
 */
import { transmission } from '../helpers/clients/transmission.ts'
import { interopTest } from './scenario.ts'

interopTest(transmission, {
  fetchByMagnetMs: 240_000,
  fetchByTorrentFileMs: 240_000,
  getByInfoHashMs: 120_000,
  getByTorrentFileMs: 120_000,
})
