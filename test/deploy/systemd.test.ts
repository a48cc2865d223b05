/** The systemd units: understood by systemd without a warning, closed as far as Node allows. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { MANUALS } from '../../src/commands/all.ts'
import { program, skipUnless } from '../helpers/requirements.ts'

const FOLDER = fileURLToPath(new URL('../../deploy/systemd', import.meta.url))
const UNITS = readdirSync(FOLDER).filter((name) => name.endsWith('.service'))
/** Of 100, in tenths: 5.0 is "medium"; an ordinary unit has 9.6. */
const MAX_EXPOSURE = 30

const skip = skipUnless(program('systemd-analyze'))

test('they are understood', { skip }, () => {
  assert.equal(UNITS.length, 3)
  const { status, stderr } = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', '--recursive-errors=no', ...UNITS.map((unit) => join(FOLDER, unit))],
    { encoding: 'utf8' },
  )
  const ours = stderr.split('\n').filter((line) => line.includes('gguf-swarm'))
  assert.deepEqual(ours, [])
  assert.equal(status, 0, stderr)
})

for (const unit of UNITS) {
  test(`${unit} is closed`, { skip }, () => {
    const args = [
      'security',
      '--offline=yes',
      `--threshold=${MAX_EXPOSURE}`,
      '--no-pager',
      join(FOLDER, unit),
    ]
    const out = execFileSync('systemd-analyze', args, { encoding: 'utf8' })
    assert.match(out, /Overall exposure level/)
  })

  test(`${unit} starts a command that there is, and lets Node make code`, async () => {
    const text = await readFile(join(FOLDER, unit), 'utf8')
    const [, command] = /^ExecStart=\/usr\/bin\/env gguf-swarm (\w+)$/m.exec(text) ?? []
    assert.ok(
      MANUALS.some(({ name }) => name === command),
      command,
    )
    assert.doesNotMatch(text, /^MemoryDenyWriteExecute=yes/m)
    assert.match(text, /^RestartPreventExitStatus=2$/m)
  })
}
