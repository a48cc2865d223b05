/** What a host remembers, and the lock that keeps two from being one. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DiskError, FailedError } from '../../src/errors.ts'
import { lockFolder } from '../../src/fleet/folder-lock.ts'
import { BackgroundSaves, loadHostState, saveHostState } from '../../src/fleet/host-state.ts'
import { startProcess } from '../helpers/process.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const nodesOf = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ host: `10.0.${at >> 8}.${at & 255}`, port: 1 + at }))

test('what was saved is loaded, and no more nodes than are of use', async (t) => {
  const folder = await temporaryFolder(t)
  const state = { ...(await loadHostState(folder)), port: 6881, dhtPort: 6882, nodes: nodesOf(500) }
  await saveHostState(folder, state)
  const loaded = await loadHostState(folder)
  assert.deepEqual(loaded, { ...state, nodes: nodesOf(200) })
})

test('a file that cannot be read is no reason for a new identity', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'host.json'))
  await assert.rejects(
    loadHostState(folder),
    (error) => error instanceof DiskError && error.message.includes(join(folder, 'host.json')),
  )
})

test('what a killed process left half-written goes with a later start, and not what is being written', async (t) => {
  const folder = await temporaryFolder(t)
  const [old, young] = [join(folder, '.host.json.0b7c.tmp'), join(folder, '.lock.77.tmp')]
  for (const path of [old, young]) await writeFile(path, '{"version":')
  const hourAgo = new Date(Date.now() - 3_600_000)
  await utimes(old, hourAgo, hourAgo)
  const lock = await lockFolder(folder, String)
  assert.deepEqual((await readdir(folder)).sort(), ['.lock.77.tmp', 'lock'])
  await lock.release()
})

test('who lets go of a folder that was removed meanwhile leaves the lock of the next one alone', async (t) => {
  const folder = join(await temporaryFolder(t), 'state')
  const lock = await lockFolder(folder, String)
  await rm(folder, { recursive: true })
  await mkdir(folder)
  await writeFile(join(folder, 'lock'), `${process.ppid}\n`)
  await lock.release()
  assert.deepEqual(await readdir(folder), ['lock'])
  await assert.rejects(lockFolder(folder, String), { code: 'locked' })
  await rm(join(folder, 'lock'))
  const own = await lockFolder(folder, String)
  await lock.release()
  await assert.rejects(lockFolder(folder, String), { code: 'locked' }, 'of this process, too')
  await own.release()
})

test('saves that fail are told of once, until one has worked', async () => {
  const told: unknown[] = []
  let failure: Error | null = new Error('the disk is full')
  const save = async (): Promise<void> => {
    if (failure !== null) throw failure
  }
  const saves = new BackgroundSaves(save, (error) => told.push(error))
  for (let round = 0; round < 3; round++) await saves.run()
  assert.equal(told.length, 1)
  failure = new Error('the file system is read-only')
  await saves.run()
  assert.equal(told.length, 2, 'another reason is news')
  failure = null
  await saves.run()
  failure = new Error('the disk is full')
  await saves.run()
  assert.equal(told.length, 3, 'so is the same one after it was over')
})

test('a damaged file costs only what is damaged', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'host.json')
  const hostId = 'c'.repeat(40)
  const damages: readonly unknown[] = [
    '',
    '{"version":1,"hostId":"cccc',
    '[]',
    'null',
    '7',
    { version: 99, hostId },
    { version: 1, hostId: 5, nodeId: [], port: -1, dhtPort: 'x', nodes: 'none' },
    {
      version: 1,
      hostId,
      port: 1e9,
      nodes: [null, 7, {}, { host: '../x', port: 1 }, { host: '1.2.3.4', port: 0 }],
    },
  ]
  for (const damage of damages) {
    await writeFile(path, typeof damage === 'string' ? damage : JSON.stringify(damage))
    const state = await loadHostState(folder)
    assert.match(state.hostId, /^[0-9a-f]{40}$/)
    assert.match(state.nodeId, /^[0-9a-f]{40}$/)
    assert.deepEqual([state.port, state.dhtPort, state.nodes], [0, 0, []])
  }
  assert.equal((await loadHostState(folder)).hostId, hostId, 'what is whole is kept')
})

test('the lock of a process that is gone is taken over', async (t) => {
  const folder = await temporaryFolder(t)
  const gone = spawn(process.execPath, ['-e', ''])
  await once(gone, 'exit')
  for (const text of [`${gone.pid}\n`, '', 'nonsense', '-1', '0']) {
    await writeFile(join(folder, 'lock'), text)
    const lock = await lockFolder(folder, () => 'advice')
    assert.equal(
      Number.parseInt(await readFile(join(folder, 'lock'), 'utf8'), 10),
      process.pid,
      JSON.stringify(text),
    )
    await lock.release()
  }
  assert.deepEqual(await readdir(folder), [])
})

test('the lock of a process that lives is respected, and says what to do', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'lock'), `${process.ppid}\n`)
  await assert.rejects(
    lockFolder(folder, (pid) => `held by process ${pid}`),
    (error) => {
      assert.ok(error instanceof FailedError)
      assert.equal(error.code, 'locked')
      assert.equal(error.message, `held by process ${process.ppid}`)
      return true
    },
  )
  assert.equal(await readFile(join(folder, 'lock'), 'utf8'), `${process.ppid}\n`, 'and left as it was')
})

test('an id that was used again by another process does not hold a lock', async (t) => {
  const folder = await temporaryFolder(t)
  // The parent lives, but did not start in the first tick after boot.
  await writeFile(join(folder, 'lock'), `${process.ppid} 1\n`)
  const lock = await lockFolder(folder, () => 'advice')
  await assert.rejects(
    lockFolder(folder, () => 'held by this very process'),
    /held by this very process/,
  )
  await lock.release()
})

/** Takes the lock at a given time, says how that went, and keeps it until its input ends. */
const RACER = `
  import { lockFolder } from ${JSON.stringify(new URL('../../src/fleet/folder-lock.ts', import.meta.url).href)}
  const [folder, time] = process.argv.slice(1)
  while (Date.now() < Number(time)) {}
  const event = await lockFolder(folder, () => 'advice').then(() => 'held', (error) => error.code ?? String(error))
  console.log(JSON.stringify({ event }))
  process.stdin.resume()
`

test('of processes that want a lock at the same moment one gets it', { timeout: 60_000 }, async (t) => {
  for (let round = 0; round < 4; round++) {
    const folder = await temporaryFolder(t)
    // Half of the rounds start with the lock of a process that is gone, which all of them find at once.
    if (round % 2 === 1) await writeFile(join(folder, 'lock'), '')
    const time = String(Date.now() + 700)
    const racers = Array.from({ length: 4 }, () =>
      startProcess<{ event: string }>(
        t,
        process.execPath,
        ['--input-type=module', '-e', RACER, folder, time],
        { input: true },
      ),
    )
    const results = await Promise.all(
      racers.map((racer) => racer.waitForEvent(() => true, { timeoutMs: 30_000 })),
    )
    await Promise.all(racers.map((racer) => racer.stop()))
    const outcomes = results.map(({ event }) => event).sort()
    assert.deepEqual(outcomes, ['held', 'locked', 'locked', 'locked'], `round ${round}`)
  }
})
