/** `gguf-swarm web` beside real hosts: what it prints, how soon a host shows, how soon a killed one is gone, how it stops. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { afterTest } from '../helpers/after-test.ts'
import { type Fleet, startFleet } from '../helpers/fleet.ts'
import { startCli } from '../helpers/process.ts'
import { holdTcpPort, scratchFolder } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { startWebCommand } from '../helpers/web-command.ts'
import { ask, FeedClient, rawSocket } from '../web/clients.ts'

const START_MS = 30_000
const ANY_PORTS = ['--http-port', '0', '--live-port', '0']

const statusOf = async (port: number): Promise<FleetStatus> =>
  JSON.parse((await ask('/api/status', { port })).body) as FleetStatus

test('hosts show within 5 s, one that is killed is gone within 60 s, live', async (t) => {
  const fleet: Fleet = await startFleet(t, { hosts: 2 })
  const { web, liveUrl, port } = await startWebCommand(t, fleet.memberArgs)
  const page = await new FeedClient(t, liveUrl).ready()
  const names = (): readonly string[] => page.status.hosts.map(({ name, state }) => `${name} ${state}`).sort()
  const began = performance.now()
  await until(() => page.status.totals.copies === 2, {
    timeoutMs: START_MS,
    what: 'both hosts with their shards',
  })
  t.diagnostic(`both hosts shown after ${((performance.now() - began) / 1000).toFixed(1)} s`)
  assert.deepEqual(names(), ['shard-0 online', 'shard-1 online'])
  const { shards, models } = await statusOf(port)
  assert.deepEqual(
    models.map(({ name, weakestSeeds }) => [name, weakestSeeds]),
    [['tiny', 1]],
  )
  for (const { infoHash } of shards) {
    assert.equal((await ask(`/api/shards/${infoHash}`, { port })).status, 200)
    assert.match((await ask(`/api/qr/${infoHash}.svg`, { port })).body, /^<svg /)
  }
  assert.match((await ask('/metrics', { port })).body, /^gguf_swarm_hosts\{state="online"\} 2$/m)
  assert.match((await ask('/', { port })).body, /<!doctype html>/i)

  const late = performance.now()
  await fleet.startHost('late')
  const ready = performance.now()
  await until(() => names().includes('late online'), { timeoutMs: 15_000, what: 'the late host' })
  t.diagnostic(`a late host is shown ${((performance.now() - ready) / 1000).toFixed(1)} s after it listens`)
  assert.ok(performance.now() - late < 15_000)

  fleet.hosts[1]!.cli.kill('SIGKILL')
  const killed = performance.now()
  await until(() => names().includes('shard-1 lost') || !names().some((name) => name.startsWith('shard-1')), {
    timeoutMs: 60_000,
    what: 'the killed host is gone',
  })
  t.diagnostic(`a killed host is gone after ${((performance.now() - killed) / 1000).toFixed(1)} s`)
  await until(() => page.events.some(({ kind }) => kind === 'host-lost'), { timeoutMs: START_MS })
  await until(() => web.stderr.includes('[FLEET] shard-1'), { timeoutMs: START_MS })
  assert.equal(page.closed, null)
})

test('what a host keeps out is told to the fleet and stands in the metrics', async (t) => {
  const fleet = await startFleet(t, { hosts: 1 })
  const { port } = await startWebCommand(t, fleet.memberArgs)
  const { dhtPort } = await fleet.hosts[0]!.cli.waitForEvent('listening', { timeoutMs: START_MS })
  const stranger = createSocket('udp4')
  afterTest(t, () => stranger.close())
  for (let sent = 0; sent < 20; sent++) stranger.send('not bencode', dhtPort, '127.0.0.1')
  const line =
    /^gguf_swarm_host_kept_out_total\{host="[0-9a-f]{40}",name="shard-0",kind="datagrams-malformed"\} 20$/m
  await until(async () => line.test((await ask('/metrics', { port })).body), {
    timeoutMs: START_MS,
    what: 'the datagrams in the metrics',
  })
})

test('the address alone on stdout, words on stderr, a stop in time with sockets open', async (t) => {
  const folder = await scratchFolder(t)
  const args = ['web', ...ANY_PORTS, '--bind', '127.0.0.1', '--bootstrap', '127.0.0.1:9', '--fleet', 'here']
  const web = startCli(t, args, { cwd: folder })
  await until(() => web.stdout.includes('\n') && web.stderr.includes('no host can be found'), {
    timeoutMs: START_MS,
  })
  assert.match(web.stdout, /^http:\/\/127\.0\.0\.1:\d+\n$/)
  assert.match(web.stderr, /open fleet 'here'/)
  assert.doesNotMatch(web.stderr, /password/)
  const port = Number(new URL(web.stdout.trim()).port)
  const page = await new FeedClient(t, `ws://127.0.0.1:${port}/ws`).ready()
  const half = rawSocket(t, port, 'GET / HTTP/1.1\r\nHost: 127.0.0.1')
  assert.deepEqual(JSON.parse((await ask('/healthz', { port })).body), { ok: true, isolated: true })
  const began = performance.now()
  const { code } = await web.stop()
  assert.ok(performance.now() - began < 5_000)
  assert.equal(code, 0)
  await until(() => page.closed === 1001 && half.socket.closed, { timeoutMs: START_MS })
})

test('a port in use, a name with a port, and what is said where others can look', async (t) => {
  const folder = await scratchFolder(t)
  const taken = String(await holdTcpPort(t))
  const common = ['--bind', '127.0.0.1', '--bootstrap', '127.0.0.1:9', '--fleet', 'here']
  const clash = startCli(t, ['web', '--http-port', taken, '--live-port', '0', '--json', ...common], {
    cwd: folder,
  })
  assert.deepEqual(await clash.exited, { code: 1, signal: null })
  assert.match(clash.stdout, /"code":"port-in-use".*--http-port/)
  const odd = startCli(t, ['web', ...ANY_PORTS, '--allow-host', 'http://x:8080', ...common], { cwd: folder })
  assert.deepEqual(await odd.exited, { code: 2, signal: null })
  assert.match(odd.stderr, /--allow-host/)
  const { web, port } = await startWebCommand(
    t,
    ['--host', '0.0.0.0', '--allow-host', 'models.example', ...common],
    { cwd: folder },
  )
  await until(() => web.stderr.includes('HTTP is not encrypted'), { timeoutMs: START_MS })
  const file = join(folder, 'models_cache', 'state', 'web.token')
  const token = (await readFile(file, 'utf8')).trim()
  assert.match(token, /^[\w-]{43}$/)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const bearer = { Authorization: `Bearer ${token}` }
  for (const [headers, status] of [
    [{ Host: 'models.example', ...bearer }, 200],
    [{ Host: 'evil.example', ...bearer }, 403],
    [{ Host: 'models.example' }, 401],
    [{ Host: '127.0.0.1' }, 401],
  ] as const) {
    assert.equal((await ask('/', { port, headers })).status, status, JSON.stringify(headers))
  }
  assert.ok(!`${web.stdout}${web.stderr}`.includes(token), 'the token is in no log')
  // The next start goes on with it; a file of one's own is taken, or refused with what is wrong.
  await web.stop()
  const again = await startWebCommand(t, ['--host', '0.0.0.0', ...common], { cwd: folder })
  assert.equal((await ask('/api/status', { port: again.port, headers: bearer })).status, 200)
  const short = join(folder, 'short')
  await writeFile(short, 'secret\n')
  const refused = startCli(t, ['web', ...ANY_PORTS, '--token-file', short, ...common], { cwd: folder })
  assert.deepEqual(await refused.exited, { code: 2, signal: null })
  assert.match(refused.stderr, /short holds no token/)
})
