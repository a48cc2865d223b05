/**
 * What tells a file on disk from any other, without reading it. Every way of changing content that the system
 * can see moves one of these: a rename over it the inode, a write mtime and ctime, `touch -d` still ctime.
 */
import type { BigIntStats } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'

/** Times in nanoseconds since 1970; all numbers as the system gives them, too large for doubles. */
export interface FileIdentity {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

/** The same as decimal strings, for JSON. */
export type FileIdentityJson = { readonly [Key in keyof FileIdentity]: string }

const KEYS = ['dev', 'ino', 'size', 'mtimeNs', 'ctimeNs'] as const satisfies readonly (keyof FileIdentity)[]

/**
 * The identity of the file at a path (a symbolic link's target) or behind an open handle.
 * @throws what `stat` throws: ENOENT, EACCES, ELOOP, …
 */
export async function identityOf(file: string | FileHandle): Promise<FileIdentity> {
  const stats =
    typeof file === 'string' ? await stat(file, { bigint: true }) : await file.stat({ bigint: true })
  return identityOfStats(stats)
}

/** The identity within a result of `stat`. */
export function identityOfStats({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileIdentity {
  return { dev, ino, size, mtimeNs, ctimeNs }
}

/** True when nothing about the file changed as far as the system knows. */
export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return KEYS.every((key) => a[key] === b[key])
}

/**
 * The same across a restart, where `dev` says nothing: overlay, NFS and btrfs number their mounts anew each
 * time, and a whole library must not be hashed again for that. Inode, size and both times to the nanosecond
 * remain.
 */
export function sameIdentityAfterRestart(a: FileIdentity, b: FileIdentity): boolean {
  return sameIdentity({ ...a, dev: b.dev }, b)
}

/** For JSON, which has no integers of this size. */
export function identityToJson(identity: FileIdentity): FileIdentityJson {
  return Object.fromEntries(KEYS.map((key) => [key, String(identity[key])])) as FileIdentityJson
}

/** Reads {@link identityToJson}'s form; undefined when it is not that. */
export function identityFromJson(value: unknown): FileIdentity | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const entries = KEYS.map((key) => [key, (value as Record<string, unknown>)[key]] as const)
  if (!entries.every(([, text]) => typeof text === 'string' && /^-?\d{1,20}$/.test(text))) return undefined
  return Object.fromEntries(
    entries.map(([key, text]) => [key, BigInt(text as string)]),
  ) as unknown as FileIdentity
}
