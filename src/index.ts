/**
 * The library API of gguf-swarm; docs/library.md shows how it is used.
 */
export {
  type CreateBootstrapOptions,
  createBootstrap,
  type RunningBootstrap,
} from './api/create-bootstrap.ts'
export {
  type CreateCoordinatorOptions,
  createCoordinator,
  type RunningCoordinator,
} from './api/create-coordinator.ts'
export {
  type CreateSeederOptions,
  createSeeder,
  type ReplicateOptions,
  type RunningSeeder,
  type SeededShard,
} from './api/create-seeder.ts'
export { type GetOptions, type Got, type GotShard, get } from './api/get.ts'
export type { Running, SwarmOptions } from './api/options.ts'
export { VERSION } from './config.ts'
export {
  DiskError,
  EXIT,
  type ExitCode,
  FailedError,
  InvalidDataError,
  NotFoundError,
  SwarmError,
  UsageError,
} from './errors.ts'
export type { GetEvent, SeedEvent } from './fleet/events.ts'
export type { FleetEvent, FleetStatus } from './fleet/status.ts'
export { type GgufVerdict, inspectGguf } from './gguf/inspect.ts'
export type { InfoHash } from './metainfo/info-hash.ts'
