/** What is secret stays so: no key and no token in any output or file but its own, and state is for its owner alone. */
import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startFleet } from '../helpers/fleet.ts'
import { CLI, startProcess } from '../helpers/process.ts'
import { ended, PATIENCE_MS, startQuietCli } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { ask } from '../web/clients.ts'

test('a fleet at work tells nobody its key or its token, and keeps its state to itself', async (t) => {
  // Nothing of what follows is owed to a careful umask.
  const umask = process.umask(0)
  t.after(() => process.umask(umask))
  const fleet = await startFleet(t, { hosts: 2, args: ['--replicate'] })
  const tokenFile = join(fleet.folder, 'web-state', 'web.token')
  const web = startProcess(t, process.execPath, [
    ...[CLI, 'web', '--http-port', '0', '--live-port', '0', '--host', '0.0.0.0'],
    ...['--token-file', tokenFile, ...fleet.memberArgs],
  ])
  // Two pipes: what it said first need not be read first.
  await until(() => web.stderr.includes('Requests need the token') && web.stdout.includes('\n'), {
    timeoutMs: PATIENCE_MS,
    what: 'the address of the page',
  })
  const token = (await readFile(tokenFile, 'utf8')).trim()
  const port = Number(new URL(web.stdout.trim()).port)
  const headers = { Authorization: `Bearer ${token}` }
  await until(
    async () => JSON.parse((await ask('/api/status', { port, headers })).body).totals?.copies === 4,
    { timeoutMs: PATIENCE_MS, what: 'every shard on both hosts' },
  )
  const pages = await Promise.all(
    ['/', '/api/status', '/api/events', '/metrics', `/?token=${token}`].map((path) =>
      ask(path, { port, headers }),
    ),
  )
  await ask(`/?token=${token}x`, { port })
  const report = join(fleet.folder, 'report.md')
  const visitors = [
    startQuietCli(t, ['status', '--json', ...fleet.memberArgs]),
    startQuietCli(t, ['verify', '--report', report, ...fleet.memberArgs]),
    startQuietCli(t, ['get', 'tiny', '--out', join(fleet.folder, 'got'), ...fleet.memberArgs]),
  ]
  for (const visitor of visitors) assert.equal((await ended(visitor)).code, 0, visitor.stderr)
  await web.stop()

  const key = /[0-9a-f]{64}/.exec(await readFile(fleet.keyFile, 'utf8'))?.[0] ?? ''
  const secret = Buffer.from(key, 'hex')
  const spellings = [key, key.toUpperCase(), secret.toString('base64'), secret.toString('base64url'), token]
  const said: (readonly [string, string])[] = [
    ...[web, fleet.bootstrap.cli, ...fleet.hosts.map(({ cli }) => cli), ...visitors].map(
      (process) => [`process ${process.pid}`, process.stdout + process.stderr] as const,
    ),
    ...pages.map(({ headers, body }) => ['an answer', JSON.stringify(headers) + body] as const),
  ]
  const files = await filesUnder(fleet.folder)
  for (const file of files) {
    if (file === fleet.keyFile || file === tokenFile || file.endsWith('.gguf')) continue
    said.push([file, await readFile(file, 'latin1')])
  }
  assert.ok(said.length > 15, `${said.length}`)
  for (const [where, text] of said) {
    for (const spelling of spellings) assert.ok(!text.includes(spelling), `${where} tells a secret`)
    assert.ok(!text.includes(secret.toString('latin1')), `${where} holds the key`)
  }

  const privates = files.filter(
    (file) => file.includes('/state/') || file === fleet.keyFile || file === tokenFile,
  )
  assert.ok(privates.length > 6, `${privates.length}`)
  for (const file of privates) assert.equal((await stat(file)).mode & 0o777, 0o600, file)
  for (const { home } of fleet.hosts) {
    assert.equal((await stat(join(home, 'state'))).mode & 0o777, 0o700)
    assert.equal((await stat(join(home, 'state', 'shards'))).mode & 0o777, 0o700)
  }
  assert.equal((await stat(join(fleet.folder, 'web-state'))).mode & 0o777, 0o700)
})

async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
