/** Types, format and lint, as `npm run check` has them: what they find fails the tests. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

for (const [what, command, ...args] of [
  ['the types fit', 'tsc'],
  ['the types of the page fit', 'tsc', '-p', 'src/web/page'],
  ['format and lint are clean', 'biome', 'check', '.'],
] as const) {
  test(what, () => {
    const bin = fileURLToPath(new URL(`../node_modules/.bin/${command}`, import.meta.url))
    const { status, stdout, stderr } = spawnSync(bin, args, { cwd: ROOT, encoding: 'utf8' })
    assert.equal(status, 0, `${stdout}${stderr}`)
  })
}
