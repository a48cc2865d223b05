/** Replication into a disk that is too small, or fills up meanwhile; on a file system of our own, which takes root. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { heldBytes } from '../../src/fleet/download/partial.ts'
import { type FleetHost, startFleet } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import { skipUnless } from '../helpers/requirements.ts'
import { MOUNTS, SmallDisk } from '../helpers/small-disk.ts'
import { PATIENCE_MS, visibleFiles } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'

const MIB = 1024 * 1024

const skip = skipUnless(MOUNTS)

function refusalsOf({ cli }: FleetHost): readonly string[] {
  return cli.events().flatMap((event) => (event.event === 'not-replicated' ? [event.code] : []))
}

const NO_ROOM = { timeoutMs: PATIENCE_MS, where: ({ code }: { code: string }) => code === 'no-room' }

test('a disk without room for all: what fits is fetched, the rest is told once and comes when there is room', {
  skip,
}, async (t) => {
  const fleet = await startFleet(t, { hosts: 1, shards: 2, bytes: 24 * MIB })
  const disk = await SmallDisk.mount(t, join(fleet.folder, 'small', 'shards'), '60m')
  const host = await fleet.startHost('small', ['--replicate', '--min-free', '16M'])
  const refusal = await host.cli.waitForEvent('not-replicated', NO_ROOM)
  t.diagnostic(refusal.reason)
  assert.match(refusal.reason, /--min-free/)
  const { file } = await host.cli.waitForEvent('replicated', { timeoutMs: PATIENCE_MS })
  await host.announced(file)
  assert.deepEqual(await visibleFiles(disk.path), [file])
  disk.remount('size=128m')
  for (const path of fleet.originals) await host.announced(basename(path))
  assert.deepEqual(refusalsOf(host), ['no-room'])
})

test('a disk that others fill meanwhile: the fetch pauses, and goes on', { skip }, async (t) => {
  const fleet = await startFleet(t, { hosts: 1, bytes: 24 * MIB, args: ['--upload-limit', '2M'] })
  const { path } = await SmallDisk.mount(t, join(fleet.folder, 'filling', 'shards'), '80m')
  const host = await fleet.startHost('filling', ['--replicate', '--min-free', '16M'])
  const { infoHash } = await host.cli.waitForEvent('replicating', { timeoutMs: PATIENCE_MS })
  const isMoving = async (): Promise<boolean> => (await heldBytes(path, infoHash)) > 4 * MIB
  await until(isMoving, { timeoutMs: PATIENCE_MS, what: 'some of it' })
  const filler = join(path, '.filler')
  await writeFile(filler, Buffer.alloc(60 * MIB))
  const paused = await host.cli.waitForEvent('not-replicated', NO_ROOM)
  t.diagnostic(paused.reason)
  assert.deepEqual(await visibleFiles(path), [])
  assert.ok(await isMoving(), 'what was fetched is kept')
  await rm(filler)
  const done = await host.cli.waitForEvent('replicated', { timeoutMs: PATIENCE_MS })
  assert.equal(done.file, basename(fleet.originals[0]!))
  assert.deepEqual(refusalsOf(host), ['no-room'], 'told once')
})

test('a folder whose disk is taken away is not filled from below', { skip }, async (t) => {
  const fleet = await startFleet(t, { hosts: 1, shards: 1, bytes: MIB })
  const disk = await SmallDisk.mount(t, join(fleet.folder, 'gone', 'shards'), '64m')
  const host = await fleet.startHost('gone', ['--replicate', '--min-free', '16M', '--want', 'late*'])
  await host.cli.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  disk.pullOut()
  const late = await fleet.startHost('late')
  await writeModel(join(late.folder, 'late.gguf'), { bytes: MIB, seed: 5 })
  const refusal = await host.cli.waitForEvent('not-replicated', NO_ROOM)
  assert.match(refusal.reason, /mount it again/)
  assert.deepEqual(await visibleFiles(disk.path), [])
})
