/** What a host needs of its folders: to read shards, and to keep its records so that they outlive a crash. */
import { access, constants, open, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { messageOf, systemCode } from '../../errors.ts'
import { syncFolder } from '../../library/atomic-file.ts'
import { formatBytes } from '../../log.ts'
import { type Finding, finder } from './finding.ts'

/** Records and torrents of a thousand shards take some 100 MB. */
const MIN_FREE_BYTES = 100_000_000

/** File systems by their magic number (statfs(2)) that something is to be said of. */
const FILE_SYSTEMS: Readonly<Record<number, { readonly name: string; readonly caution: string }>> = {
  19780: { name: 'FAT', caution: 'holds no file of 4 GiB or more' },
  538032816: { name: 'exFAT', caution: 'has no journal: a crash may lose the last minutes' },
  26985: {
    name: 'NFS',
    caution: 'tells of no changes by other machines: new shards are found by the slow rescan',
  },
  4283649346: {
    name: 'SMB',
    caution: 'tells of no changes by other machines: new shards are found by the slow rescan',
  },
  4266872130: {
    name: 'SMB',
    caution: 'tells of no changes by other machines: new shards are found by the slow rescan',
  },
  16914839: {
    name: '9p',
    caution: 'tells of no changes from outside: new shards are found by the slow rescan',
  },
  1702057286: {
    name: 'FUSE',
    caution: 'may tell of no changes from outside: new shards may be found by the slow rescan',
  },
  16914836: { name: 'tmpfs', caution: 'is gone after a restart of the machine' },
  2035054128: { name: 'overlay', caution: 'is gone with its container, unless it is a volume' },
}

/** The folder of shards: read, and written to only by `--replicate`. */
export async function checkShards(folder: string): Promise<Finding> {
  const { ok, note, fail } = finder('shards', 'Shards')
  try {
    if (!(await stat(folder)).isDirectory())
      return fail(`${folder} is not a folder`, 'name the folder that holds the shards')
    await access(folder, constants.R_OK | constants.X_OK)
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      return fail(`${folder} is not there`, `\`mkdir -p ${folder}\`, or name another`)
    return fail(`cannot read ${folder}: ${messageOf(error)}`, 'let the user that runs the host read it')
  }
  const { text, caution } = await describe(folder)
  // What is gone after a restart was put there by somebody who knows.
  return caution === '' || /is gone/.test(caution) ? ok(text) : note(`${text}; ${caution}`)
}

/** A folder of the host's own: whether what is written there is there after a crash. */
export async function checkWritable(id: string, title: string, folder: string): Promise<Finding> {
  const { ok, note, fail } = finder(id, title)
  const there = await nearest(folder)
  const probe = join(there, `.gguf-swarm-doctor-${process.pid}-${id}.tmp`)
  try {
    await using file = await open(probe, 'wx', 0o600)
    await file.writeFile('whether this can be written, kept and renamed\n')
    await file.sync()
    await rename(probe, `${probe}2`)
    await syncFolder(there)
  } catch (error) {
    return fail(
      `cannot keep a file in ${there}: ${messageOf(error)}`,
      `let the user that runs the host write to ${folder}, or choose another folder`,
    )
  } finally {
    await Promise.all([probe, `${probe}2`].map((path) => rm(path, { force: true }).catch(() => undefined)))
  }
  const { text, caution, free } = await describe(there)
  if (free < MIN_FREE_BYTES) return fail(text, 'free some space, or choose another folder')
  return caution === '' ? ok(text) : note(`${text}; ${caution}`, `keep ${folder} on a disk that stays`)
}

interface Described {
  readonly text: string
  readonly caution: string
  readonly free: number
}

async function describe(folder: string): Promise<Described> {
  const { bavail, bsize, type } = await statfs(folder)
  const kind = FILE_SYSTEMS[type]
  const free = bavail * bsize
  const on = kind === undefined ? '' : ` on ${kind.name}`
  const caution = kind === undefined ? '' : `${kind.name} ${kind.caution}`
  return { text: `${folder}${on}, ${formatBytes(free)} free`, caution, free }
}

/** The folder, or the nearest above it that is there: the others are made when they are needed. */
async function nearest(folder: string): Promise<string> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const isThere = await stat(path).then(
      () => true,
      () => false,
    )
    if (isThere || dirname(path) === path) return path
  }
}
