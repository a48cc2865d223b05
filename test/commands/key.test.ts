/** `key`, and that the version is said once. */
import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { VERSION } from '../../src/config.ts'
import { startCli } from '../helpers/process.ts'
import { temporaryFolder } from '../helpers/temp.ts'

test('key makes a key that only its owner can read, and does not replace one', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'models_cache', 'fleet.key')
  const first = startCli(t, ['key'], { cwd: folder })
  assert.equal((await first.exited).code, 0, first.stderr)
  assert.equal(first.stdout, 'models_cache/fleet.key\n')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const text = await readFile(file, 'utf8')
  assert.match(text, /^gguf-swarm-key-1 [0-9a-f]{64}\n$/)
  assert.ok(!first.stderr.includes(text.slice(17, 40)), 'the key itself is not printed')

  const second = startCli(t, ['key'], { cwd: folder })
  assert.equal((await second.exited).code, 2)
  assert.match(second.stderr, /fleet\.key exists/)
  assert.equal(await readFile(file, 'utf8'), text)
})

test('the version of the program is that of its package', async () => {
  const manifest = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'))
  assert.equal(VERSION, manifest.version)
})
