/** `verify` against a fleet that is as it should be: everything passes, and everything can be looked up again. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  ended,
  endedBy,
  PATIENCE_MS,
  runGet,
  startQuietCli,
  untilSaid,
  visibleFiles,
} from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { NAMES, runVerify, startWholeFleet } from './verify-kit.ts'

test('a sound fleet: every check passes, with logs, report, and a repeatable download', async (t) => {
  const fleet = await startWholeFleet(t, { json: false })
  const { folder, hosts, memberArgs } = fleet
  for (const { cli } of hosts) await untilSaid(cli, '✓ All torrent files registered in DHT')
  const logs = await Promise.all(
    hosts.map(async ({ name, cli }) => {
      const path = join(folder, `${name}.log`)
      await writeFile(path, cli.stderr)
      return path
    }),
  )
  const report = join(folder, 'report.md')
  const args = ['--expect-hosts', '3', '--expect-copies', '6', '--whole', '--sample', '100']
  const verified = await runVerify(t, fleet, [...args, '--log', ...logs, '--report', report])
  assert.deepEqual(verified.failed, [], verified.stderr)
  assert.deepEqual(verified.skipped, [])
  assert.equal(verified.code, 0)
  assert.deepEqual({ ...verified.verdict, ok: true }, verified.verdict)
  assert.match(verified.checks.get('log-lines')!.evidence[0]!, /^6\/6 \+ 3\/3 \+ 6\/6 \+ 3\/3 lines/)
  assert.match(verified.checks.get('registered')!.evidence[0]!, /^6\/6 /)
  assert.match(verified.checks.get('whole')!.evidence[0]!, /^6\/6 whole bitfields; 36 random pieces/)

  // The commands are a second opinion: what they print names the same hosts and nodes.
  const run = (command: string): string => execFileSync('sh', ['-c', command], { encoding: 'utf8' })
  const [whoHasIt] = verified.checks.get('registered')!.repeat.map(run)
  const addresses = verified.checks
    .get('reachable')!
    .evidence.flatMap((line) => /host-\d \((.*?)\)/.exec(line)?.[1] ?? [])
  assert.equal(addresses.length, 3)
  for (const address of addresses) assert.ok(whoHasIt!.includes(address), whoHasIt)
  assert.equal(run(verified.checks.get('bootstrap')!.repeat[0]!), `node ${fleet.bootstrap.nodeId}\n`)
  for (const command of verified.checks.get('routing')!.repeat)
    assert.match(run(command), /^node [0-9a-f]{40}\n$/)
  for (const command of verified.checks.get('reachable')!.repeat) assert.equal(run(command), 'open\n')

  const text = await readFile(report, 'utf8')
  t.diagnostic(text)
  assert.match(text, /VERIFIED/)
  for (const name of NAMES) assert.ok(text.includes(name))
  const [, command] = /^(gguf-swarm get .*)$/m.exec(text)!
  const [infoHash] = command!.match(/[0-9a-f]{40}/)!
  const got = await runGet(t, [infoHash], { bootstrap: fleet.bootstrap.address, out: join(folder, 'again') })
  assert.equal(got.code, 0, 'the command in the report works')

  // The same for people: a table, and the report's path for scripts.
  const cli = startQuietCli(t, ['verify', ...memberArgs, '--report', report, '--temp-dir', folder])
  const { code, stderr, stdout } = await ended(cli, 2 * PATIENCE_MS)
  t.diagnostic(stderr)
  assert.equal(code, 0)
  assert.equal(stdout, `${report}\n`)
  assert.match(stderr, /^✓ {2}1 {2}Bootstrap nodes answer +1\/1 answered/m)
  assert.match(stderr, /^– 10 {2}The log lines are there +not checked \(no log given\)/m)
  assert.match(stderr, /^✓ VERIFIED: 9 of 10 checks passed, 1 not checked/m)
  const left = (await visibleFiles(folder)).filter((name) => name.startsWith('gguf-swarm-verify-'))
  assert.deepEqual(left, [], 'what was downloaded is gone')
})

test('an open fleet, no bootstrap, and wrong use', async (t) => {
  const wrong = async (args: readonly string[]): Promise<number | null> =>
    (await ended(startQuietCli(t, ['verify', ...args]))).code
  assert.equal(await wrong(['--sample', '-1']), 2)
  assert.equal(await wrong(['--expect-hosts', 'many']), 2)
  assert.equal(await wrong(['--log', '/nowhere/at/all']), 2)
  const nobody = { memberArgs: ['--bind', '127.0.0.1', '--bootstrap', '127.0.0.1:9', '--fleet', 'nobody'] }
  const verified = await runVerify(t, nobody, ['--timeout', '2'])
  assert.equal(verified.code, 3)
  assert.deepEqual(verified.failed, ['bootstrap', 'coordinator'])
  assert.equal(verified.skipped.length, 8)
})

test('Ctrl-C in the middle of a download leaves nothing behind', async (t) => {
  const fleet = await startWholeFleet(t, { hosts: 1, args: ['--upload-limit', '100K'] })
  const args = ['--sample', '0', '--temp-dir', fleet.folder]
  const cli = startQuietCli(t, ['verify', ...fleet.memberArgs, ...args])
  const downloads = async () =>
    (await visibleFiles(fleet.folder)).filter((name) => name.startsWith('gguf-swarm-verify-'))
  await until(async () => (await downloads()).length > 0, { timeoutMs: PATIENCE_MS, what: 'the download' })
  const { code, stderr } = await endedBy(cli, 'SIGINT')
  assert.equal(code, 130, stderr)
  assert.deepEqual(await downloads(), [])
})
