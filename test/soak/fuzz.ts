/** The generated input of `test/fuzz`, ten times as much of it in each round, with another seed each time. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { soak } from '../helpers/soak.ts'

const FACTOR = 10

soak('fuzz', { minutes: 20 }, async (t, { seed, hasTime, report }) => {
  const files = globSync(join(import.meta.dirname, '../fuzz/*.test.ts')).sort()
  let inputs = 0
  for (let round = 0; hasTime(); round++) {
    const env = { ...process.env, GGUF_TEST_SEED: String(seed + round), GGUF_FUZZ_FACTOR: String(FACTOR) }
    // Or it would take itself for a part of this test, and say nothing.
    Reflect.deleteProperty(env, 'NODE_TEST_CONTEXT')
    const child = spawn(process.execPath, ['--test', '--test-concurrency=1', ...files], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      signal: t.signal, // it ends with this test, if that takes too long
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    const [code] = (await once(child, 'close')) as [number]
    for (const [, count] of output.matchAll(/(\d+) inputs/g)) inputs += Number(count)
    report({ rounds: round + 1, seeds: `${seed} to ${seed + round}`, inputs })
    if (code !== 0) t.diagnostic(output)
    assert.equal(code, 0, `GGUF_TEST_SEED=${seed + round} GGUF_FUZZ_FACTOR=${FACTOR}`)
  }
})
