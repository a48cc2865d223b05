/**
 * What can be wrong with a file that should be GGUF. The reader throws these; `inspect.ts` turns them into
 * verdicts, so none of them leaves this folder.
 */

/** Why a file can never become GGUF by growing. */
export type GgufRejection =
  | 'not-gguf'
  | 'lfs-pointer'
  | 'html-page'
  | 'unsupported-version'
  | 'over-limit'
  | 'malformed'

/** The bytes there are can never be the beginning of a usable GGUF file. */
export class HeaderRejected extends Error {
  readonly code: GgufRejection

  constructor(code: GgufRejection, reason: string) {
    super(reason)
    this.code = code
  }
}

/** The file ends before its header does; a file of `neededLength` bytes is the least that could be whole. */
export class HeaderCut extends Error {
  readonly neededLength: number

  constructor(neededLength: number) {
    super(`needs at least ${neededLength} bytes`)
    this.neededLength = neededLength
  }
}

/** The file gave fewer bytes than it had when it was opened: somebody is changing it. */
export class FileShrank extends Error {}

/** A whole number as people read it: `1,234,567`. `toLocaleString` takes 9 ms the first time, for every file that is right. */
export function grouped(number: number | bigint): string {
  return String(number).replace(/\B(?=(?:\d{3})+$)/g, ',')
}

/** Longer names would hide the sentence they stand in. */
const MAX_QUOTED_CHARACTERS = 64

/** A name out of a file, quoted, short and free of control characters. */
export function quoted(name: string): string {
  return JSON.stringify(
    name.length > MAX_QUOTED_CHARACTERS ? `${name.slice(0, MAX_QUOTED_CHARACTERS)}…` : name,
  )
}
