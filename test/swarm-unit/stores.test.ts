/** The two chunk stores: bytes that are not what was hashed never leave, bytes that are not on disk never count. */
import assert from 'node:assert/strict'
import {
  type FileHandle,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  DownloadStore,
  type DownloadStoreSettings,
  hasPiece,
  type ResumeNote,
} from '../../src/swarm/lane/download-store.ts'
import { InPlaceStore, type ServedFile } from '../../src/swarm/seeding/in-place-store.ts'
import { WindowCache } from '../../src/swarm/seeding/window-cache.ts'
import { afterTest } from '../helpers/after-test.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'
import { type Content, makeContent } from '../hostile/swarm-kit.ts'

const PIECE = 2 * 1024 * 1024

interface Served {
  readonly content: Content
  readonly store: InPlaceStore
  readonly lost: string[]
  read(index: number, offset?: number, length?: number): Promise<Buffer>
}

async function serve(
  t: TestContext,
  { cache = new WindowCache(), ...options }: Partial<ServedFile & { cache: WindowCache }> = {},
): Promise<Served> {
  const content = await makeContent(t, { length: 5_000_000, pieceLength: PIECE })
  const lost: string[] = []
  const { infoHash, path, length, pieceLength, pieces } = content
  const base = { infoHash, path, length, pieceLength, pieces, check: async () => undefined }
  const file: ServedFile = {
    ...base,
    onLost: (reason) => lost.push(reason),
    ...options,
  }
  const store = new InPlaceStore(PIECE, { file, cache })
  afterTest(t, () => new Promise<void>((resolve) => store.close(() => resolve())))
  return { content, store, lost, read: (index, offset, length) => getFrom(store, index, offset, length) }
}

function getFrom(
  store: InPlaceStore | DownloadStore,
  index: number,
  offset?: number,
  length?: number,
): Promise<Buffer> {
  const range = { ...(offset === undefined ? {} : { offset }), ...(length === undefined ? {} : { length }) }
  return new Promise((resolve, reject) =>
    store.get(index, range, (error, data) => (error ? reject(error) : resolve(Buffer.from(data ?? [])))),
  )
}

test('reads blocks anywhere, across windows and to the last byte', async (t) => {
  const { content, read, lost } = await serve(t)
  const { bytes } = content
  const mega = 1024 * 1024
  for (const [index, offset, length] of [
    [0, 0, 16_384],
    [0, mega - 100, 200],
    [1, PIECE - 1, 1],
    [2, 0, 16_384],
    [2, 5_000_000 - 2 * PIECE - 5, 5],
  ] as const) {
    const start = index * PIECE + offset
    assert.ok(
      (await read(index, offset, length)).equals(bytes.subarray(start, start + length)),
      `${index} ${offset}`,
    )
  }
  assert.ok((await read(2)).equals(bytes.subarray(2 * PIECE)), 'a whole piece without a range')
  assert.deepEqual(lost, [])
})

test('refuses blocks that are not there without giving the file up', async (t) => {
  const { read, lost } = await serve(t)
  for (const [index, offset, length] of [
    [-1, 0, 10],
    [3, 0, 10],
    [0.5, 0, 10],
    [0, -1, 10],
    [0, PIECE - 5, 10],
    [0, 0, 0],
    [2, 5_000_000 - 2 * PIECE, 1],
  ] as const) {
    await assert.rejects(read(index, offset, length), RangeError)
  }
  assert.deepEqual(lost, [])
})

test('a byte that changed before the first read is never sent', async (t) => {
  const { content, read, lost } = await serve(t)
  const changed = Buffer.from(content.bytes)
  changed[PIECE + 77] = (changed[PIECE + 77] ?? 0) ^ 1
  await writeFile(content.path, changed)
  assert.ok(
    (await read(0, 0, 100)).equals(content.bytes.subarray(0, 100)),
    'another piece is still what it was',
  )
  // A block of the piece in which nothing changed: the piece is judged as a whole.
  await assert.rejects(read(1, PIECE - 100, 100), /piece 1 is not what was hashed/)
  assert.equal(lost.length, 1)
  await assert.rejects(read(0, 0, 100), /no longer served/)
  assert.equal(lost.length, 1, 'told once')
})

test('a file that shrank, is gone, or fails its check is lost', async (t) => {
  const shrunk = await serve(t)
  await truncate(shrunk.content.path, 1_000)
  await assert.rejects(shrunk.read(0), /shorter/)
  assert.equal(shrunk.lost.length, 1)

  const gone = await serve(t)
  await rename(gone.content.path, `${gone.content.path}.moved`)
  await assert.rejects(gone.read(0), /ENOENT/)
  assert.equal(gone.lost.length, 1)

  const replaced = await serve(t, {
    check: async () => {
      throw new Error('it was replaced by another file')
    },
  })
  await assert.rejects(replaced.read(0), /replaced/)
  assert.deepEqual(replaced.lost, ['it was replaced by another file'])
})

test('many readers of one window share one read, and blocks are copies', async (t) => {
  let checks = 0
  const cache = new WindowCache()
  const check = async (): Promise<void> => {
    checks++
  }
  const { content, read } = await serve(t, { cache, check })
  await read(0, 0, 100)
  cache.clear('') // so that the window is read again, of a piece that is verified by now
  const before = checks
  const blocks = await Promise.all(Array.from({ length: 64 }, (_, at) => read(0, at * 16_384, 16_384)))
  assert.ok(Buffer.concat(blocks).equals(content.bytes.subarray(0, 64 * 16_384)))
  assert.equal(checks - before, 1, 'every read of a verified piece is checked once')
  blocks[0]?.fill(0)
  assert.ok((await read(0, 0, 100)).equals(content.bytes.subarray(0, 100)))
})

test('the cache of all shards stays within its budget', async (t) => {
  const cache = new WindowCache(1024 * 1024)
  const { read } = await serve(t, { cache })
  for (const index of [0, 1, 2, 0, 1, 2]) await read(index, 0, 16_384)
  assert.ok(cache.bytes <= 1024 * 1024)
})

test('close waits for readers, frees the cache and serves nothing more', async (t) => {
  const cache = new WindowCache()
  const { read, store, lost } = await serve(t, { cache })
  const reading = read(0, 0, 100).catch(() => undefined)
  await new Promise<void>((resolve) => store.close(() => resolve()))
  await reading
  assert.equal(cache.bytes, 0)
  await assert.rejects(read(0, 0, 100), /no longer served/)
  assert.deepEqual(lost, [], 'being stopped is no loss')
})

async function isHeldOpen({ path }: Content): Promise<boolean> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''))
  return (await Promise.all(links)).includes(path)
}

test('a read that goes on after close leaves no descriptor behind', async (t) => {
  const { read, store, content } = await serve(t)
  const reading = read(0, 0, 100).catch(() => undefined) // a piece of two reads
  await new Promise<void>((resolve) => store.close(() => resolve()))
  await reading
  assert.equal(await isHeldOpen(content), false)
})

test('a descriptor nobody used for 20 s is closed, and opened again when needed', async (t) => {
  const { read, content } = await serve(t)
  const isOpen = (): Promise<boolean> => isHeldOpen(content)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  await read(0, 0, 100)
  t.mock.timers.tick(19_000)
  assert.equal(await isOpen(), true)
  t.mock.timers.tick(1_000)
  t.mock.timers.reset()
  await until(async () => !(await isOpen()), { timeoutMs: 30_000, what: 'the descriptor is closed' })
  assert.ok((await read(1, 0, 100)).equals(content.bytes.subarray(PIECE, PIECE + 100)))
})

test('nothing is ever written to a file that is seeded in place', async (t) => {
  const { store, content } = await serve(t)
  const { mtimeMs } = await stat(content.path)
  const error = await new Promise((resolve) => store.put(0, new Uint8Array(10), resolve))
  assert.match(String(error), /read-only/)
  await new Promise<void>((resolve) => store.destroy(() => resolve()))
  assert.equal((await stat(content.path)).mtimeMs, mtimeMs)
})

interface Downloading {
  readonly store: DownloadStore
  readonly notes: ResumeNote[]
  readonly steps: string[]
  readonly failures: unknown[]
  readonly path: string
  put(index: number, data: Uint8Array): Promise<Error | null>
  close(): Promise<void>
}

/**
 * A store over a file of three pieces of 1,000 bytes; every flush and every note is written down in order. `before` a
 * piece is written something may happen.
 */
async function downloading(
  t: TestContext,
  before: () => Promise<void> = async () => undefined,
): Promise<Downloading> {
  const path = join(await temporaryFolder(t), 'data')
  const real = await open(path, 'w+')
  await real.truncate(2_500)
  const [notes, steps, failures] = [[] as ResumeNote[], [] as string[], [] as unknown[]]
  const handle = Object.assign(Object.create(real) as FileHandle, {
    read: real.read.bind(real),
    datasync: async () => {
      steps.push('flush')
      await real.datasync()
    },
  })
  const put = async (index: number, data: Uint8Array): Promise<boolean> => {
    await before()
    await real.write(data, 0, data.length, index * 1_000)
    return true
  }
  const saveNote = async (note: ResumeNote): Promise<void> => {
    steps.push('note')
    notes.push(note)
  }
  const note = { synced: new Uint8Array(1), written: new Uint8Array(1) }
  const settings: DownloadStoreSettings = {
    partial: Promise.resolve({ handle, length: 2_500, note, saveNote, put }),
    onFailed: (error) => failures.push(error),
  }
  const store = new DownloadStore(1_000, { settings })
  afterTest(t, () => real.close())
  return {
    store,
    notes,
    steps,
    failures,
    path,
    put: (index, data) => new Promise((resolve) => store.put(index, data, resolve)),
    close: () => new Promise((resolve) => store.close(() => resolve())),
  }
}

test('a piece counts as synced only after a flush that came after it', async (t) => {
  const { put, notes, steps, close, path } = await downloading(t)
  assert.equal(await put(0, Buffer.alloc(1_000, 1)), null)
  await until(() => notes.length > 0, { timeoutMs: 30_000, what: 'the first note' })
  assert.ok(hasPiece(notes[0]!.written, 0))
  assert.ok(!hasPiece(notes[0]!.synced, 0), 'written, but not flushed yet')
  await put(2, Buffer.alloc(500, 3))
  await close()
  const last = notes.at(-1)!
  assert.ok(hasPiece(last.synced, 0) && hasPiece(last.synced, 2) && !hasPiece(last.synced, 1))
  assert.deepEqual(steps.slice(-2), ['flush', 'note'])
  const bytes = await readFile(path)
  assert.deepEqual([bytes.length, bytes[0], bytes[1_500], bytes[2_499]], [2_500, 1, 0, 3])
})

test('a failed write is told and not noted', async (t) => {
  const full = await downloading(t, async () => {
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  })
  assert.match(String(await full.put(0, Buffer.alloc(1_000))), /no space left/)
  assert.equal(full.failures.length, 1)
  await full.close()
  assert.ok(full.notes.every((note) => !hasPiece(note.written, 0)))
})

test('only what a piece holds can be read back, and nothing is written after the end', async (t) => {
  const { put, store, close } = await downloading(t)
  await put(2, Buffer.alloc(500, 3))
  assert.ok((await getFrom(store, 2, 0, 500)).every((byte) => byte === 3))
  for (const [index, offset, length] of [
    [2, 0, 501],
    [2, 500, 1],
    [3, 0, 1],
    [-1, 0, 1],
    [0, 1_000, 10],
    [0, -1, 10],
    [0, 0, 0],
  ] as const) {
    await assert.rejects(getFrom(store, index, offset, length), RangeError, `${index} ${offset} ${length}`)
  }
  await close()
  assert.match(String(await put(0, Buffer.alloc(1_000))), /stopped/)
})

test('nothing is flushed or noted after close, of a piece that was being written neither', async (t) => {
  const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const { put, close, steps } = await downloading(t, async () => {
    begun.resolve()
    await goOn.promise
  })
  const written = put(0, Buffer.alloc(1_000, 1))
  await begun.promise
  const closed = close()
  goOn.resolve()
  await closed
  assert.equal(await written, null)
  assert.deepEqual(steps, ['flush', 'note'])
  await delay(400) // longer than it waits for more to note
  assert.deepEqual(steps, ['flush', 'note'])
})

test('a store whose torrent was refused closes without ever having a file', async () => {
  const never = new DownloadStore(1_000, {
    settings: { partial: new Promise(() => undefined), onFailed: () => assert.fail('nothing failed') },
  })
  await new Promise<void>((resolve) => never.close(() => resolve()))
})
