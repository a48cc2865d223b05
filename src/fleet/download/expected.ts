/**
 * What a file must be besides its infohash, where a catalogue said it. A catalogue is a claim of a host: one that
 * does not hold is told before anything gets the claimed name.
 */
import { InvalidDataError } from '../../errors.ts'
import type { Metainfo } from '../../metainfo/metainfo.ts'

/** The claims; left out where none was made. */
export interface Expected {
  readonly expectedName?: string
  /** 64 hex digits. */
  readonly expectedSha256?: string
}

/**
 * Called when the metainfo is there, before a byte of data.
 * @throws {InvalidDataError} `name-mismatch`
 */
export function requireName({ expectedName }: Expected, { name, infoHash }: Metainfo): void {
  if (expectedName === undefined || expectedName === name) return
  throw new InvalidDataError(
    'name-mismatch',
    `${expectedName} (${infoHash}) is really called ${name}: a host of the fleet does not tell the truth. ` +
      `Nothing was fetched; see who offers it with \`gguf-swarm status\`, or get it by its infohash`,
  )
}

/**
 * Called when all pieces are right, before the file gets its name. What arrived is what the infohash stands for, so
 * it is kept where downloads are kept.
 * @throws {InvalidDataError} `sha256-mismatch`
 */
export function requireSha256(
  { expectedSha256 }: Expected,
  { name, infoHash }: Metainfo,
  sha256: string,
): void {
  if (expectedSha256 === undefined || expectedSha256 === sha256) return
  throw new InvalidDataError(
    'sha256-mismatch',
    `${name} (${infoHash}) has SHA-256 ${sha256}, and the fleet says ${expectedSha256}: a host does not tell the ` +
      'truth, or the file is not the one that was meant. Do not use it. If the infohash comes from somebody you ' +
      `trust, \`gguf-swarm get ${infoHash}\` takes what was fetched`,
  )
}
