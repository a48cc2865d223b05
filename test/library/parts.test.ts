/** The small parts a library is made of. */
import assert from 'node:assert/strict'
import { link, mkdir, open, readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeFileAtomic } from '../../src/library/atomic-file.ts'
import {
  identityFromJson,
  identityOf,
  identityToJson,
  sameIdentity,
  sameIdentityAfterRestart,
} from '../../src/library/identity.ts'
import { LookLoop } from '../../src/library/look-loop.ts'
import { writerOf } from '../../src/library/open-writers.ts'
import { checkServed } from '../../src/library/served.ts'
import { isShardName, shardNameOf, shardNameProblem } from '../../src/library/shard-name.ts'
import { nextStep, SETTLE_TIMES } from '../../src/library/wholeness.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

test('which names are shards, and which only stand beside one', () => {
  for (const name of ['a.gguf', 'A.GGUF', 'llama:7b.gguf', 'x.gguf.gguf']) assert.ok(isShardName(name), name)
  for (const name of ['.a.gguf', 'a.gguf.part', 'a.gguf~', 'gguf', '.gguf', 'a.bin'])
    assert.ok(!isShardName(name), name)
  assert.equal(shardNameOf('a.gguf.aria2'), 'a.gguf')
  assert.equal(shardNameOf('a.gguf'), 'a.gguf')
  assert.equal(shardNameOf('a.gguf.txt'), undefined)
  assert.equal(shardNameOf('a.bin.part'), undefined)
  assert.equal(shardNameProblem('a.part.gguf')?.code, 'unfinished')
  assert.equal(shardNameProblem('a\\b.gguf')?.code, 'bad-name')
  assert.equal(shardNameProblem('a.gguf'), undefined)
})

test('an identity survives JSON, and every way of changing a file changes it', async (t) => {
  const path = join(await temporaryFolder(t), 'a')
  await writeFile(path, 'one')
  const before = await identityOf(path)
  assert.deepEqual(identityFromJson(JSON.parse(JSON.stringify(identityToJson(before)))), before)
  for (const bad of [
    undefined,
    null,
    5,
    {},
    { ...identityToJson(before), ino: 'x' },
    { ...before, size: 3 },
  ]) {
    assert.equal(identityFromJson(bad), undefined)
  }
  const file = await open(path, 'r')
  t.after(() => file.close())
  assert.ok(sameIdentity(before, await identityOf(file)))
  assert.ok(sameIdentityAfterRestart({ ...before, dev: before.dev + 1n }, before))
  assert.ok(!sameIdentityAfterRestart({ ...before, ino: before.ino + 1n }, before))
  const { atime, mtime } = await stat(path)
  // The clock of a file system ticks every few milliseconds; a change must fall into a later tick to be seen.
  await until(() => Date.now() > mtime.getTime() + 20, { timeoutMs: 30_000, everyMs: 5 })
  await writeFile(path, 'two')
  await utimes(path, atime, mtime)
  assert.ok(!sameIdentity(before, await identityOf(path)))
})

test('the check of a served file: changed, replaced, removed', async (t) => {
  const path = join(await temporaryFolder(t), 'a')
  await writeFile(path, 'one')
  const check = checkServed({ path, identity: await identityOf(path) })
  const file = await open(path, 'r')
  t.after(() => file.close())
  await check(file)
  await writeFile(`${path}.new`, 'one')
  await link(path, `${path}.kept`)
  await assert.rejects(check(file), /changed/)
  const again = checkServed({ path, identity: await identityOf(path) })
  await again(file)
  await rename(`${path}.new`, path)
  await assert.rejects(again(file))
})

test('a file is replaced whole or not at all, and nothing is left behind', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, `${'long'.repeat(60)}.json`)
  await writeFileAtomic(path, 'one')
  await writeFileAtomic(path, new Uint8Array([50]), { mode: 0o644 })
  assert.equal(await readFile(path, 'utf8'), '2')
  await assert.rejects(writeFileAtomic(join(folder, 'missing', 'x'), 'x'), { code: 'ENOENT' })
  // A folder in the file's place stops even root; the temporary file beside it goes away again.
  await mkdir(join(folder, 'taken', 'inner'), { recursive: true })
  await assert.rejects(writeFileAtomic(join(folder, 'taken'), 'x'))
  assert.equal((await readdir(folder)).length, 2)
})

test('a process that has a file open for writing is seen on Linux, one that reads it is not', async (t) => {
  if (process.platform !== 'linux') return t.skip('only Linux shows it')
  const path = join(await temporaryFolder(t), 'a')
  const writer = await open(path, 'w')
  const identity = await identityOf(path)
  assert.equal(await writerOf(identity, 0), process.pid)
  await writer.close()
  const reader = await open(path, 'r')
  assert.equal(await writerOf(identity, 0), undefined)
  await reader.close()
})

test('what follows from the evidence and the quiet time', async () => {
  const file = { path: '/nowhere/a.gguf', name: 'a.gguf', identity: await identityOf('/') }
  const whole = { kind: 'whole' } as const
  const short = { kind: 'incomplete', empty: false, reason: 'short' } as const
  const times = SETTLE_TIMES
  const step = (...[evidence, quietMs]: [Parameters<typeof nextStep>[1], number]) =>
    nextStep(file, evidence, quietMs, times)
  assert.deepEqual(await step(whole, 1_000), { kind: 'wait', forMs: 2_000 })
  assert.deepEqual(await step(whole, 3_000), { kind: 'whole' })
  const doubted = { kind: 'whole', doubt: 'sparse' } as const
  const because = { kind: 'doubt', reason: 'sparse' }
  assert.deepEqual(await step(doubted, 3_000), { kind: 'wait', forMs: 17_000, because })
  assert.deepEqual(await step(doubted, 20_000), { kind: 'whole' })
  const waiting = { kind: 'incomplete', reason: 'short' }
  assert.deepEqual(await step(short, 10_000), { kind: 'wait', forMs: 50_000, because: waiting })
  const reason = 'short; it does not grow any more, so copy it again'
  assert.deepEqual(await step(short, 60_000), { kind: 'reject', code: 'incomplete', reason })
  assert.deepEqual(await step({ ...short, empty: true }, 60_000), {
    kind: 'reject',
    code: 'empty',
    reason,
  })
  const invalid = { kind: 'invalid', code: 'not-gguf', reason: 'no' } as const
  assert.deepEqual(await step(invalid, 1_000), { kind: 'reject', code: 'not-gguf', reason: 'no' })
})

test('the loop: never one path twice at once, never too many, and a mark during a look is not lost', async () => {
  const looks: string[] = []
  const errors: unknown[] = []
  let [running, most] = [0, 0]
  const loop: LookLoop = new LookLoop({
    maxLooks: 2,
    look: async (path) => {
      looks.push(path)
      most = Math.max(most, ++running)
      if (looks.length === 1) loop.mark(path)
      await new Promise((resolve) => setTimeout(resolve, 10))
      running--
      if (path === 'bad') throw new Error('a fault')
    },
    onError: (error) => errors.push(error),
  })
  loop.mark('late', 40)
  // The second marks of a and b come while they are looked at; all of c's come before.
  for (const path of ['a', 'b', 'c', 'c', 'bad', 'a', 'a', 'b', 'c']) loop.mark(path)
  await until(() => looks.length === 7, { timeoutMs: 30_000 })
  assert.deepEqual(looks.toSorted(), ['a', 'a', 'b', 'b', 'bad', 'c', 'late'])
  assert.equal(most, 2)
  assert.equal(errors.length, 1)
  loop.mark('d')
  await loop.stop()
  loop.mark('e')
  assert.equal(running, 0)
  assert.equal(looks.length, 8)
})
