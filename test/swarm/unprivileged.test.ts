/** Nothing needs root: a host and a download as the user `nobody`, without any capability. */
import assert from 'node:assert/strict'
import { chown, mkdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { writeModel } from '../helpers/gguf.ts'
import { startProcess } from '../helpers/process.ts'
import { program, skipUnless } from '../helpers/requirements.ts'
import { MOUNTS } from '../helpers/small-disk.ts'
import { PATIENCE_MS, scratchFolder, startBootstrap } from '../helpers/swarm.ts'

const NOBODY = 65_534
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The checkout may lie where nobody else may go; here it is seen at a place of its own, read-only. */
const PLACE = '/mnt'

const skip = skipUnless(MOUNTS, program('setpriv'))

/** Runs `gguf-swarm` as nobody, in a namespace of mounts that shows it the checkout. */
function startAsNobody(t: TestContext, args: readonly string[], cwd: string) {
  // A Node of the system can be run by everybody; one inside the checkout is found there.
  const node = process.execPath.startsWith(ROOT)
    ? join(PLACE, process.execPath.slice(ROOT.length))
    : process.execPath
  const script = 'mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" && cd "$3" && shift 3 && exec "$@"'
  const drop = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups']
  const bare = ['--bounding-set=-all', '--inh-caps=-all', '--no-new-privs']
  return startProcess(t, 'unshare', [
    ...['--mount', 'sh', '-c', script, 'sh', ROOT, PLACE, cwd],
    ...[...drop, ...bare, node, join(PLACE, 'bin/gguf-swarm.js'), ...args, '--json'],
  ])
}

test('seed and get as nobody, without capabilities', { skip }, async (t) => {
  const folder = await scratchFolder(t)
  await chown(folder, NOBODY, NOBODY)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  await writeModel(join(shards, 'free.gguf'), { bytes: 300_000, seed: 3 })
  const bootstrap = await startBootstrap(t)
  const at = ['--bind', '127.0.0.1', '--bootstrap', bootstrap.address]
  const host = startAsNobody(t, ['seed', shards, ...at], folder)
  const { infoHash } = await host.waitForEvent('seeding', { timeoutMs: PATIENCE_MS })
  const uids = /^Uid:\s+(.*)$/m.exec(await readFile(`/proc/${host.pid}/status`, 'utf8'))?.[1]
  assert.equal(uids, Array(4).fill(NOBODY).join('\t'))
  const got = startAsNobody(t, ['get', infoHash, '--out', join(folder, 'out'), ...at], folder)
  const { path } = await got.waitForEvent('done', { timeoutMs: PATIENCE_MS })
  assert.equal((await stat(path)).uid, NOBODY)
  assert.equal(dirname(path), join(folder, 'out'))
  assert.deepEqual(await got.exited, { code: 0, signal: null })
  assert.equal((await stat(join(folder, 'models_cache', 'state'))).mode & 0o777, 0o700)
})
