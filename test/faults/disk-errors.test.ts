/** A disk that fails under a download, or under the state of a host: said once and clearly, and gone on with later. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { CLI, type CliEvent, startProcess } from '../helpers/process.ts'
import { skipUnless } from '../helpers/requirements.ts'
import { MOUNTS, SmallDisk } from '../helpers/small-disk.ts'
import { STRACE, underStrace } from '../helpers/strace.ts'
import {
  assertGot,
  ended,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startHost,
  theError,
  untilSaid,
  visibleFiles,
} from '../helpers/swarm.ts'

const NO_BOOTSTRAP = '127.0.0.1:9'
const BYTES = 6_000_000

/** Which call fails how, from which on, and what is said of it. */
const WRITE_ERRORS = [
  ['pwrite64', 'EIO', 10, /the disk reported a read or write error; check the disk/],
  ['pwrite64', 'EROFS', 10, /the file system is read-only; choose another folder/],
  ['pwrite64', 'EDQUOT', 10, /the disk quota is used up/],
  ['fdatasync', 'EIO', 1, /the disk reported a read or write error; check the disk/],
  ['rename', 'ENOSPC', 2, /the disk is full; free some space/],
  ['link', 'EIO', 2, /the disk reported a read or write error; check the disk/],
] as const

test('a disk that fails under a download', {
  skip: skipUnless(STRACE),
  concurrency: 2,
}, async (t) => {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', 'model.gguf')
  await writeModel(original, { bytes: BYTES, seed: 1 })
  const host = await startHost(t, join(folder, 'shards'), { bootstrap: NO_BOOTSTRAP })
  const { infoHash } = await host.seeding('model.gguf')
  const peer = await host.address()
  await Promise.all(
    WRITE_ERRORS.map(([call, error, first, words]) =>
      t.test(`${error} of ${call}`, async (t) => {
        const out = join(folder, `${call}-${error}`)
        const at = ['--bind', '127.0.0.1', '--bootstrap', NO_BOOTSTRAP, '--peer', peer]
        const [command = '', ...args] = underStrace(
          { calls: [call], fault: `error=${error}:when=${first}+` },
          [process.execPath, CLI, 'get', infoHash, '--out', out, ...at, '--json'],
        )
        const env = { UV_THREADPOOL_SIZE: '1' }
        const got = await ended(startProcess<CliEvent>(t, command, args, { env }))
        assert.equal(got.code, 5, got.stderr)
        const { code, message } = theError(got)
        assert.equal(code, error)
        assert.match(message, words)
        assert.ok(message.includes(out), message)
        assert.deepEqual(await visibleFiles(out), [])
        // The disk is well again.
        const again = await runGet(t, [infoHash], { bootstrap: NO_BOOTSTRAP, out, args: ['--peer', peer] })
        await assertGot(again, [original])
      }),
    ),
  )
})

test('a disk that fails under the state of a host', { skip: skipUnless(MOUNTS) }, async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const add = async (name: string): Promise<string> => {
    await writeModel(join(folder, name), { bytes: 300_000, seed: name.length, name })
    await copyFile(join(folder, name), join(shards, name))
    return join(folder, name)
  }
  await add('first.gguf')
  const disk = await SmallDisk.mount(t, join(folder, 'disk'), '1m')
  const home = disk.path
  const host = await startHost(t, shards, { bootstrap: NO_BOOTSTRAP, home })
  await host.seeding('first.gguf')
  const { hostId } = await host.cli.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  const peer = await host.address()
  const isServed = async (name: string): Promise<void> => {
    const original = await add(name)
    const { infoHash } = await host.seeding(name)
    const out = join(folder, 'out')
    await assertGot(await runGet(t, [infoHash], { bootstrap: NO_BOOTSTRAP, out, args: ['--peer', peer] }), [
      original,
    ])
    await untilSaid(host.cli, `${name} is seeded, but hashed again after a restart`)
  }

  await t.test('full: what comes is served all the same, and said', async () => {
    const filler = join(home, 'filler')
    await writeFile(filler, Buffer.alloc(2_000_000)).catch(({ code }) => assert.equal(code, 'ENOSPC'))
    await isServed('full.gguf')
    assert.match(host.cli.stderr, /the disk is full; free some space/)
    await rm(filler)
  })

  await t.test('read-only: the same, and it stops in time', async () => {
    disk.remount('ro')
    await isServed('read-only.gguf')
    assert.match(host.cli.stderr, /the file system is read-only/)
    assert.doesNotMatch(host.cli.stderr, /\n\s+at /)
    assert.deepEqual(await host.cli.stop(), { code: 0, signal: null })
    const refused = await startHost(t, shards, { bootstrap: NO_BOOTSTRAP, home })
    const got = await ended(refused.cli)
    assert.equal(got.code, 5, got.stderr)
    assert.match(theError(got).message, /read-only/)
  })

  await t.test('well again: the same host, and what was kept is not hashed again', async (t) => {
    disk.remount('rw')
    const again = await startHost(t, shards, { bootstrap: NO_BOOTSTRAP, home })
    const names = ['first.gguf', 'full.gguf', 'read-only.gguf']
    await Promise.all(names.map((name) => again.seeding(name)))
    assert.equal((await again.cli.waitForEvent('listening', { timeoutMs: PATIENCE_MS })).hostId, hostId)
    assert.deepEqual(
      names.map((name) => again.story(name)),
      [['seeding'], ['hashing', 'seeding'], ['hashing', 'seeding']],
    )
  })
})
