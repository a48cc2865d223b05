/**
 * libtorrent and gguf-swarm. It prefers uTP, which crawls at some 7 MB/s where a host offers it: the two shards
 * it fetches are long enough to miss their limits then.
 */
import { libtorrent } from '../helpers/clients/libtorrent.ts'
import { interopTest } from './scenario.ts'

interopTest(
  libtorrent,
  {
    fetchByMagnetMs: 45_000,
    fetchByTorrentFileMs: 45_000,
    getByInfoHashMs: 40_000,
    getByTorrentFileMs: 40_000,
  },
  { fetchedBytes: 256 * 1024 * 1024 },
)
