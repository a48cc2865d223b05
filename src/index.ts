/**
 * The library API of gguf-swarm: the parts that the commands are made of.
 */
export { EXIT, type ExitCode, SwarmError } from './errors.ts'
export { BootstrapNode, type BootstrapOptions } from './fleet/bootstrap.ts'
export type { GetEvent, SeedEvent } from './fleet/events.ts'
export { type GetOptions, type GetResult, Getter } from './fleet/getter.ts'
export { type DhtChoice, Network, type NetworkOptions } from './fleet/network.ts'
export { Seeder, type SeederListener, type SeederOptions } from './fleet/seeder.ts'
export { type GgufVerdict, inspectGguf } from './gguf/inspect.ts'
export { HashPool } from './library/hash-pool.ts'
export { createLog, type Log, silentLog } from './log.ts'
export { createInfo, type TorrentInfo } from './metainfo/create.ts'
export { type InfoHash, parseInfoHash } from './metainfo/info-hash.ts'
export { magnetFor } from './metainfo/magnet.ts'
export { parseTorrentId, type TorrentId } from './metainfo/parse.ts'
export { pieceLengthFor } from './metainfo/piece-length.ts'
