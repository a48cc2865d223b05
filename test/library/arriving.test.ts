/** Files that are there at start or arrive later, at once or bit by bit. */
import assert from 'node:assert/strict'
import { appendFile, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { writeModel } from '../helpers/gguf.ts'
import { until } from '../helpers/until.ts'
import { makeWorld, TIMES } from './library-kit.ts'

const BYTES = 300_000

test('shards that are there at start, in sub-folders too; what is not one is told why', async (t) => {
  const { root, start } = await makeWorld(t)
  await mkdir(join(root, 'sub', 'deep'), { recursive: true })
  await mkdir(join(root, '.hidden'))
  await writeModel(join(root, 'a.gguf'), { bytes: BYTES, seed: 1 })
  await writeModel(join(root, 'sub', 'deep', 'B.GGUF'), { bytes: BYTES, seed: 2 })
  await writeModel(join(root, '.hidden', 'h.gguf'), { bytes: BYTES, seed: 3 })
  await writeModel(join(root, '.h.gguf'), { bytes: BYTES, seed: 3 })
  await writeFile(join(root, 'readme.txt'), 'x')
  await writeFile(join(root, 'empty.gguf'), '')
  await writeFile(
    join(root, 'lfs.gguf'),
    `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 5\n`,
  )
  await writeFile(join(root, 'page.gguf'), '<!doctype html><html></html>')
  await writeModel(join(root, 'x.part.gguf'), { bytes: BYTES, seed: 4 })
  await writeFile(join(root, 'cut.gguf'), (await readFile(join(root, 'a.gguf'))).subarray(0, BYTES - 1))
  await mkdir(join(root, 'folder.gguf'))
  const kit = await start()
  await kit.heard('shard', 'a.gguf')
  await kit.heard('shard', join('sub', 'deep', 'B.GGUF'))
  assert.match(await kit.heard('rejected', 'empty.gguf'), /^empty: /)
  assert.match(await kit.heard('rejected', 'lfs.gguf'), /^lfs-pointer: /)
  assert.match(await kit.heard('rejected', 'page.gguf'), /^html-page: /)
  assert.match(await kit.heard('rejected', 'x.part.gguf'), /^unfinished: /)
  assert.match(await kit.heard('rejected', 'cut.gguf'), /^incomplete: .*300,000/)
  await until(() => kit.scanned.length, { timeoutMs: 30_000 })
  assert.equal(kit.scanned[0]?.files, 7)
  assert.deepEqual(kit.of('folder.gguf'), [])
  assert.equal(kit.library.entries().length, 7)
  assert.equal(kit.told.filter(([, file]) => file.includes('h.gguf')).length, 0)
  assert.deepEqual(kit.warnings, [])
})

test('an old incomplete file is rejected at once; a library with nothing in it is scanned at once', async (t) => {
  const { root, start } = await makeWorld(t)
  const empty = await start()
  assert.deepEqual(empty.scanned, [{ files: 0, seeding: 0, rejected: 0, waiting: 0 }])
  await empty.library.stop()
  await writeModel(join(root, 'a.gguf'), { bytes: BYTES, seed: 1 })
  const file = await open(join(root, 'a.gguf'), 'r+')
  await file.truncate(BYTES - 1)
  await file.close()
  await until(async () => Date.now() - (await mtime(join(root, 'a.gguf'))) > TIMES.giveUpMs, {
    timeoutMs: 30_000,
  })
  const kit = await start()
  await kit.heard('rejected', 'a.gguf')
  assert.deepEqual(kit.of('a.gguf'), ['rejected'])
})

test('a file copied in slowly is seeded once, when it is whole, and never before', async (t) => {
  const { root, start } = await makeWorld(t)
  // Never given up, however long a busy machine makes of the pauses.
  const kit = await start({ times: { giveUpMs: 60_000 } })
  const source = join(root, '..', 'source.gguf')
  await writeModel(source, { bytes: BYTES, seed: 5 })
  const bytes = await readFile(source)
  const target = join(root, 'slow.gguf')
  const isNoWait = (what: string): boolean => what !== 'waiting'
  for (let part = 0; part < 5; part++) {
    assert.deepEqual(kit.of('slow.gguf').filter(isNoWait), [])
    await appendFile(target, bytes.subarray((part * BYTES) / 5, ((part + 1) * BYTES) / 5))
    // Pauses longer than the settle time: the header alone says that more is to come.
    if (part < 4) await delay(TIMES.settleMs * 1.5)
    if (part === 0) await kit.heard('waiting', 'slow.gguf')
  }
  await kit.heard('shard', 'slow.gguf')
  assert.deepEqual(kit.of('slow.gguf').filter(isNoWait), ['hashing', 'shard'])
  assert.equal(kit.hashes(), 1)
  assert.equal(kit.shards[0]?.length, BYTES)
})

test('a copy that pauses for longer than we wait is rejected, and seeded when it goes on', async (t) => {
  const { root, start } = await makeWorld(t)
  const kit = await start()
  const source = join(root, '..', 'source.gguf')
  await writeModel(source, { bytes: BYTES, seed: 6 })
  const bytes = await readFile(source)
  await writeFile(join(root, 'a.gguf'), bytes.subarray(0, 1000))
  assert.match(await kit.heard('waiting', 'a.gguf'), /1,000 of at least 300,000/)
  assert.match(await kit.heard('rejected', 'a.gguf'), /^incomplete/)
  await appendFile(join(root, 'a.gguf'), bytes.subarray(1000))
  await kit.heard('shard', 'a.gguf')
  assert.deepEqual(kit.of('a.gguf'), ['waiting', 'rejected', 'hashing', 'shard'])
})

test('space set aside first and filled later: doubted while it looks empty, seeded once with its final content', async (t) => {
  const { root, start } = await makeWorld(t)
  const kit = await start()
  const source = join(root, '..', 'source.gguf')
  await writeModel(source, { bytes: BYTES, seed: 7 })
  const bytes = await readFile(source)
  const file = await open(join(root, 'a.gguf'), 'w')
  await file.truncate(BYTES)
  await file.write(bytes, 0, 4096, 0)
  assert.match(await kit.heard('waiting', 'a.gguf'), /still being filled/)
  // Open for writing all the while, which is seen too; from the end, as no length check could tell it.
  for (let end = BYTES; end > 4096; end -= 100_000) {
    const from = Math.max(4096, end - 100_000)
    await file.write(bytes, from, end - from, from)
    await delay(TIMES.settleMs * 1.5)
  }
  if (process.platform === 'linux') {
    assert.match(await kit.heard('waiting', 'a.gguf', 2), /has it open for writing/)
    assert.equal(kit.of('a.gguf').includes('hashing'), false)
  }
  await file.close()
  await kit.heard('shard', 'a.gguf')
  assert.equal(kit.of('a.gguf').filter((what) => what === 'shard').length, 1)
  await writeFile(join(root, 'b.gguf'), bytes)
  await kit.heard('shard', 'b.gguf')
  assert.equal(kit.shards[0]?.sha256, kit.shards[1]?.sha256)
})

test('written to without a pause: said to be waiting; a writer that never lets go is not waited for for ever', async (t) => {
  const { root, start } = await makeWorld(t)
  const kit = await start()
  const file = await open(join(root, 'a.gguf'), 'w')
  let writing = true
  const writer = (async () => {
    while (writing) {
      await file.write('x')
      await delay(10)
    }
  })()
  assert.match(await kit.heard('waiting', 'a.gguf'), /still being written/)
  writing = false
  await writer
  await writeModel(join(root, 'a.gguf'), { bytes: BYTES, seed: 8 })
  await kit.heard('shard', 'a.gguf')
  await file.close()
})

test('a download program at it: nothing is seeded until its companion file is gone', async (t) => {
  const { root, start } = await makeWorld(t)
  const kit = await start()
  const path = join(root, 'a.gguf')
  await writeFile(`${path}.aria2`, 'x')
  await writeModel(path, { bytes: BYTES, seed: 14 })
  // What aria2 shows for a while: the whole length, and nothing but zeros.
  await writeFile(join(root, 'zeros.gguf.aria2'), 'x')
  await writeFile(join(root, 'zeros.gguf'), new Uint8Array(BYTES))
  await writeFile(join(root, 'b.gguf.lock'), '')
  await writeModel(join(root, 'b.gguf'), { bytes: BYTES, seed: 15 })
  assert.match(await kit.heard('waiting', 'a.gguf'), /a\.gguf\.aria2/)
  // A lock that nobody takes away is forgotten one day, aria2's own file never is.
  await kit.heard('shard', 'b.gguf')
  assert.deepEqual(kit.of('a.gguf'), ['waiting'])
  assert.deepEqual(kit.of('zeros.gguf'), ['waiting'])
  await rm(join(root, 'zeros.gguf.aria2'))
  assert.match(await kit.heard('rejected', 'zeros.gguf'), /^not-gguf/)
  await rm(`${path}.aria2`)
  await kit.heard('shard', 'a.gguf')
})

async function mtime(path: string): Promise<number> {
  const file = await open(path, 'r')
  try {
    return (await file.stat()).mtimeMs
  } finally {
    await file.close()
  }
}
