/** What the watcher of a folder tells, by events and, where there are none left to be had, by polling. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type FSWatcher, watch } from 'chokidar'
import { FolderWatcher } from '../../src/library/watcher.ts'
import { afterTest } from '../helpers/after-test.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

test('reports shards and what stands beside them, under the name of the shard, and nothing else', async (t) => {
  const root = await temporaryFolder(t)
  const dirty = new Set<string>()
  const watcher = new FolderWatcher({
    root,
    log: { info() {}, warn() {} },
    onDirty: (path) => dirty.add(path),
  })
  afterTest(t, () => watcher.stop())
  watcher.start()
  watcher.start()
  await mkdir(join(root, 'sub'))
  await mkdir(join(root, '.cache'))
  for (const name of [
    'x.txt',
    '.h.gguf',
    '.cache/c.gguf',
    'a.gguf.aria2',
    'sub/b.GGUF',
    'c.gguf.lock',
    'last.gguf',
  ]) {
    await writeFile(join(root, name), 'x')
  }
  const expected = ['a.gguf', 'c.gguf', 'last.gguf', 'sub/b.GGUF'].map((name) => join(root, name))
  await until(() => dirty.size >= expected.length, { timeoutMs: 30_000 })
  assert.deepEqual([...dirty].sort(), expected)
})

test('without file watches left it polls, and says so once', async (t) => {
  const root = await temporaryFolder(t)
  const [dirty, warnings, opened] = [new Set<string>(), [] as string[], [] as FSWatcher[]]
  const backends: unknown[] = []
  const watcher = new FolderWatcher({
    root,
    log: { info() {}, warn: (line) => warnings.push(line) },
    onDirty: (path) => dirty.add(path),
    watch: (path, options) => {
      backends.push(options.backend)
      const made = watch(path, options)
      opened.push(made)
      return made
    },
  })
  afterTest(t, () => watcher.stop())
  watcher.start()
  const exhausted = Object.assign(new Error('no watches left'), { code: 'ENOSPC' })
  opened[0]?.emit('error', exhausted)
  assert.deepEqual(backends, ['auto', 'polling'])
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /polled.*max_user_watches/)
  await writeFile(join(root, 'a.gguf'), 'x')
  await until(() => dirty.size, { timeoutMs: 30_000 })
  opened[1]?.emit('error', new Error('odd'))
  opened[1]?.emit('error', new Error('odd'))
  assert.equal(warnings.length, 2)
  assert.equal(opened[0]?.closed, true)
})
