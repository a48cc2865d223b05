/**
 * The errors of gguf-swarm: one class for each decision a caller can take, each with the exit code
 * the command line ends with. Messages name the file, hash or address and say what to do next.
 */

/** Exit codes of every command; the README's table says the same. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  invalid: 4,
  disk: 5,
  interrupted: 130,
} as const

/** One of {@link EXIT}'s values. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Base class: `code` is stable and machine-readable, `exitCode` is what the process ends with. */
export class SwarmError extends Error {
  readonly code: string
  readonly exitCode: ExitCode

  constructor(code: string, message: string, exitCode: ExitCode, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.exitCode = exitCode
  }
}

/** Wrong usage or bad input: the caller must change what was asked for. Exit code 2. */
export class UsageError extends SwarmError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, message, EXIT.usage, options)
  }
}

/** Nobody has it, or nobody answered within the time allowed: try later or elsewhere. Exit code 3. */
export class NotFoundError extends SwarmError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, message, EXIT.notFound, options)
  }
}

/** What arrived or stood there is not valid (hash, GGUF): never use it. Exit code 4. */
export class InvalidDataError extends SwarmError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, message, EXIT.invalid, options)
  }
}

/** The disk is full, read-only or failing: free space or choose another folder. Exit code 5. */
export class DiskError extends SwarmError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, message, EXIT.disk, options)
  }
}

/** Anything else that stops a command, such as a port in use. Exit code 1. */
export class FailedError extends SwarmError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, message, EXIT.failed, options)
  }
}

/** Errors of disks that Node has only a number for, on Linux and (EDQUOT) on macOS. */
const NAMELESS: Readonly<Record<number, string>> = {
  [-122]: 'EDQUOT',
  [-69]: 'EDQUOT',
  [-116]: 'ESTALE',
  [-117]: 'EUCLEAN',
}
/** What Node calls them, synchronous calls first. */
const NO_NAME = /^UNKNOWN$|^Unknown system error /

/** The system's own code of an error (`ENOENT`, `EADDRINUSE`, …), or '' when it has none. */
export function systemCode(error: unknown): string {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return ''
  const errno = NO_NAME.test(error.code) && 'errno' in error ? NAMELESS[Number(error.errno)] : undefined
  return errno ?? error.code
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The system's codes that make an error one of the disk, each with what is said of it. */
const DISK_ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space or choose another folder',
  EDQUOT: 'the disk quota is used up; free some space or choose another folder',
  EROFS: 'the file system is read-only; choose another folder',
  EACCES: 'permission denied; change its permissions or choose another folder',
  EPERM: 'permission denied; change its permissions or choose another folder',
  EIO: 'the disk reported a read or write error; check the disk',
  ESTALE: 'the network file system lost sight of it; mount it again or choose another folder',
  EUCLEAN: 'the file system is damaged; check it, or choose another folder',
  ENOTDIR: 'a file stands where a folder is needed; choose another folder',
  EFBIG: 'the file system cannot hold a file this large; choose another folder',
}

/**
 * Turns a file system error met while writing into a {@link DiskError} that names `path` and says what
 * to do; anything that is not a disk problem comes back unchanged.
 */
export function asDiskError(error: unknown, path: string): unknown {
  const code = systemCode(error)
  const advice = DISK_ADVICE[code]
  if (error instanceof SwarmError || advice === undefined) return error
  return new DiskError(code, `cannot write ${path}: ${advice}`, { cause: error })
}
