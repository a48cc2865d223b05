/** What a host needs of its machine: Node, descriptors, file watches, a clock. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Finding, finder } from './finding.ts'

/** What package.json asks for; held by a test. */
export const MINIMUM_NODE: readonly [major: number, minor: number] = [20, 19]
/** Besides connections: shards that are read, libraries, workers, logs. */
const OTHER_DESCRIPTORS = 256
/** Other programs of the same user watch files too, editors by the ten thousand. */
const WATCH_SHARE = 0.5
/** Counting further says nothing new. */
const MAX_COUNTED = 200_000
/** When this was written: a clock that shows less has lost its battery. */
const WRITTEN_AT = Date.UTC(2026, 10, 26)
/** How long the clock is watched, and how far it may go from the time that passed: scheduling takes its share. */
const CLOCK_WATCH_MS = 1_000
const CLOCK_SLACK_MS = 250
/** Files of this host from further in the future than this were written by a clock that was wrong, or is now. */
const FUTURE_SLACK_MS = 5 * 60_000

export function checkNode(version: string): Finding {
  const { ok, fail } = finder('node', 'Node')
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isOld = major < MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor < MINIMUM_NODE[1])
  if (!isOld) return ok(version)
  return fail(
    `${version} is too old`,
    `install Node ${MINIMUM_NODE.join('.')} or newer from https://nodejs.org`,
  )
}

/** `limits` is the text of /proc/self/limits; null where there is none. */
export function checkOpenFiles(limits: string | null, maxConns: number): Finding {
  const { ok, note, fail } = finder('open-files', 'Open files')
  const [, text = ''] = /^Max open files\s+(\S+)/m.exec(limits ?? '') ?? []
  if (text === '') return note('this system does not say how many files a process may open')
  const allowed = text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text)
  const needed = maxConns + OTHER_DESCRIPTORS
  const found = `${text} allowed, ${needed} needed for ${maxConns} connections`
  if (allowed >= needed) return ok(found)
  return fail(
    found,
    `\`ulimit -n ${needed * 2}\` before the start, LimitNOFILE= in a systemd unit, or --max-conns`,
  )
}

/** Watches are counted by the kernel per file and folder that is watched. Linux only. */
export async function checkWatches(
  folders: readonly string[],
  procFolder = '/proc/sys/fs/inotify',
): Promise<Finding> {
  const { ok, note, fail } = finder('file-watches', 'File watches')
  const allowed = Number(await readFile(join(procFolder, 'max_user_watches'), 'utf8').catch(() => ''))
  if (allowed === 0) return note('this system sets no limit that could be read')
  const counts = await Promise.all(folders.map(entries))
  const needed = counts.reduce((sum, count) => sum + count, 0)
  const found = `${allowed} allowed for all programs of this user, ${needed} needed for ${folders.join(', ')}`
  if (needed <= allowed * WATCH_SHARE) return ok(found)
  const wanted = 2 ** Math.ceil(Math.log2(needed / WATCH_SHARE))
  const fix =
    `\`sysctl fs.inotify.max_user_watches=${wanted}\`, and the same in /etc/sysctl.d/gguf-swarm.conf; ` +
    'without, new files are found by the slow rescan'
  return needed <= allowed ? note(found, fix) : fail(found, fix)
}

/** Files and folders below `folder`, and itself. */
async function entries(folder: string): Promise<number> {
  const queue = [folder]
  let count = 1
  for (let path = queue.pop(); path !== undefined && count < MAX_COUNTED; path = queue.pop()) {
    for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
      count++
      if (entry.isDirectory()) queue.push(join(path, entry.name))
    }
  }
  return count
}

/**
 * No peer tells the time, and none needs to: intervals are measured on a clock that only goes forward. A wrong
 * clock makes reports and logs wrong, and files look newer than they are; one that jumps makes stored peers expire early.
 */
export async function checkClock(stateDir: string, now: () => number = Date.now): Promise<Finding> {
  const { ok, note, fail } = finder('clock', 'Clock')
  const [wallAt, passedAt] = [now(), performance.now()]
  await delay(CLOCK_WATCH_MS)
  const drift = now() - wallAt - (performance.now() - passedAt)
  const shown = new Date(now()).toISOString().slice(0, 19)
  const fix = 'set it with NTP: `timedatectl set-ntp true`, or chrony'
  if (now() < WRITTEN_AT) return fail(`shows ${shown} UTC, which is long over`, fix)
  if (Math.abs(drift) > CLOCK_SLACK_MS) {
    return fail(`jumped by ${Math.round(drift)} ms within ${CLOCK_WATCH_MS / 1000} s`, fix)
  }
  const future = await newest(stateDir)
  if (future !== null && future > now() + FUTURE_SLACK_MS) {
    const from = new Date(future).toISOString().slice(0, 19)
    return note(`shows ${shown} UTC, but ${stateDir} has files of ${from}: it was wrong then, or is now`, fix)
  }
  return ok(`${shown} UTC, even`)
}

async function newest(folder: string): Promise<number | null> {
  const names = await readdir(folder).catch(() => [])
  const times = names.map((name) =>
    stat(join(folder, name)).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    ),
  )
  return names.length === 0 ? null : Math.max(...(await Promise.all(times)))
}
