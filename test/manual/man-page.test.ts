/** The man page: fresh, and rendered without a word of complaint. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freshManPage, MAN_PAGE } from '../../man/make.ts'
import { MANUALS } from '../../src/commands/all.ts'
import { valueName } from '../../src/manual/value-names.ts'
import { program, skipUnless } from '../helpers/requirements.ts'

test('it is the one that the commands give: `npm run man` writes it', async () => {
  assert.equal(await readFile(MAN_PAGE, 'utf8'), freshManPage())
  for (const { name, options } of MANUALS) {
    assert.ok(freshManPage().includes(`.SS gguf\\-swarm ${name}`))
    for (const option of options)
      assert.ok(freshManPage().includes(`\\-\\-${option.name.replaceAll('-', '\\-')}`))
  }
})

test('every value has a name that says what it is', () => {
  const options = MANUALS.flatMap((manual) => manual.options)
  assert.deepEqual(
    options.filter((option) => valueName(option) === 'STRING').map(({ name }) => name),
    [],
  )
})

for (const [command, ...args] of [
  ['mandoc', '-Tlint', '-Wwarning'],
  ['groff', '-man', '-ww', '-Tutf8'],
  ['man', '--warnings', '-l'],
] as const) {
  test(`${command} finds nothing wrong with it`, { skip: skipUnless(program(command)) }, () => {
    const { status, stdout, stderr } = spawnSync(command, [...args, fileURLToPath(MAN_PAGE)], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stdout + stderr)
    assert.equal(stderr, '')
    assert.doesNotMatch(stdout, /WARNING|ERROR/)
  })
}
