/** A disk that loses bits, from the first wrong piece to the alarm that a person sees, over a restart. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildInfo } from '../../src/metainfo/create.ts'
import { startCoordinator, startFleet, untilPictured } from '../helpers/fleet.ts'
import { endedBy, PATIENCE_MS } from '../helpers/swarm.ts'

const FILE = 'tiny-00001-of-00001.gguf'
const FAST = ['--recheck-rate', '1G']

test('a shard that rotted is found, withdrawn, and an alarm; after a restart it is no new shard', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, args: ['--recheck-rate', 'off'] })
  const [host] = fleet.hosts as [(typeof fleet.hosts)[number]]
  assert.equal((await endedBy(host.cli, 'SIGTERM')).code, 0)

  // Times of a file cannot be set back, so it is the record that changes: the last piece is no longer what it was.
  const folder = join(host.home, 'state', 'shards')
  const [name = ''] = await readdir(folder)
  const record = JSON.parse(await readFile(join(folder, name), 'utf8'))
  const pieces = Buffer.from(record.pieces, 'base64')
  pieces[pieces.length - 1] = pieces[pieces.length - 1]! ^ 1
  const { infoHash } = buildInfo({ ...record, pieces: new Uint8Array(pieces) })
  await writeFile(
    join(folder, name),
    JSON.stringify({ ...record, infoHash, pieces: pieces.toString('base64') }),
  )

  const coordinator = await startCoordinator(t, fleet)
  const again = await fleet.startHost(host.name, FAST)
  const { reason } = await again.cli.waitForEvent('withdrawn', { timeoutMs: PATIENCE_MS })
  assert.match(reason, /^re-check: piece \d+ is not what was hashed$/)
  const rejected = await again.cli.waitForEvent('rejected', { timeoutMs: PATIENCE_MS })
  assert.equal(rejected.code, 'rotten')
  const { alarms, hosts } = await untilPictured(
    coordinator,
    (status) => status.alarms.some(({ kind }) => kind === 'rotten'),
    { what: 'the alarm' },
  )
  const alarm = alarms.find(({ kind }) => kind === 'rotten')
  assert.match(alarm?.message ?? '', /host shard-0 .* check its disk/)
  assert.equal(hosts[0]?.rottenShards, 1)
  assert.notEqual(hosts[0]?.recheckedAt, undefined)
  const { shards, bad } = await again.cli.waitForEvent('rechecked', { timeoutMs: PATIENCE_MS })
  assert.deepEqual([shards, bad], [0, 1])
  assert.equal((await endedBy(again.cli, 'SIGTERM')).code, 0)

  const restarted = await fleet.startHost(host.name, FAST)
  const still = await restarted.cli.waitForEvent('rejected', { timeoutMs: PATIENCE_MS })
  assert.equal(still.code, 'rotten')
  await untilPictured(coordinator, ({ hosts: [one] }) => one?.rottenShards === 1 && one.state === 'online')
  assert.deepEqual(restarted.story(FILE), ['hashing', 'rejected'])

  // Copied again, it is the shard it was: and the alarm is over.
  const [original = ''] = fleet.originals
  await writeFile(join(host.folder, FILE), await readFile(original))
  const healed = await restarted.seeding(FILE)
  assert.equal(healed.infoHash, record.infoHash)
  await untilPictured(coordinator, (status) => !status.alarms.some(({ kind }) => kind === 'rotten'), {
    what: 'the end of the alarm',
  })
})
