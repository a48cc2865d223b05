/** What people give to say what they want: torrent ids (infohash, magnet, .torrent), or names to be looked up. */
import { readFile } from 'node:fs/promises'
import { messageOf, systemCode, UsageError } from '../errors.ts'
import { nameProblem } from '../metainfo/file-name.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { MAX_TORRENT_BYTES } from '../metainfo/metainfo.ts'
import { parseTorrentId, type TorrentId } from '../metainfo/parse.ts'

const MAGNET = /^(stream-)?magnet:/i
const TORRENT_FILE = /\.torrent$/i
const INFO_HASH = /^([0-9a-f]{40}|[a-z2-7]{32})$/i
/** An infohash that lost some digits when it was copied: nobody calls a model so. */
const CUT_INFO_HASH = /^[0-9a-f]{16,}$/i

/** Whether `text` can only be the name of a shard or model. */
export function isName(text: string): boolean {
  if (MAGNET.test(text) || TORRENT_FILE.test(text)) return false
  const trimmed = text.trim()
  return !INFO_HASH.test(trimmed) && !CUT_INFO_HASH.test(trimmed) && nameProblem(text) === undefined
}

/** Ids and names in the order given; one named twice is there once. */
export async function readIds(
  texts: readonly string[],
): Promise<{ readonly ids: readonly TorrentId[]; readonly names: readonly string[] }> {
  const ids = new Map<InfoHash, TorrentId>()
  const names = new Set<string>()
  for (const text of texts) {
    if (isName(text)) {
      names.add(text)
      continue
    }
    const id = await readId(text)
    if (!ids.has(id.infoHash)) ids.set(id.infoHash, id)
  }
  return { ids: [...ids.values()], names: [...names] }
}

/** A text that names a .torrent file is read; everything else is an infohash or a magnet link. */
export async function readId(text: string): Promise<TorrentId> {
  if (MAGNET.test(text) || !TORRENT_FILE.test(text)) return parseTorrentId(text)
  let bytes: Buffer
  try {
    bytes = await readFile(text)
  } catch (error) {
    const why = systemCode(error) === 'ENOENT' ? 'there is no such file' : messageOf(error)
    throw new UsageError('bad-id', `cannot read ${text}: ${why}; give the path of a .torrent file`, {
      cause: error,
    })
  }
  if (bytes.length > MAX_TORRENT_BYTES)
    throw new UsageError('bad-torrent', `${text} is too large for a .torrent file`)
  try {
    return await parseTorrentId(bytes)
  } catch (error) {
    throw error instanceof UsageError
      ? new UsageError(error.code, `${text}: ${error.message}`, { cause: error })
      : error
  }
}
