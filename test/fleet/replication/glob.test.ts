/** Patterns of file names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileGlob } from '../../../src/fleet/replication/glob.ts'
import { cpuTimeMs } from '../../helpers/cpu-time.ts'

const MATCHES: readonly (readonly [pattern: string, yes: readonly string[], no: readonly string[]])[] = [
  ['*', ['', 'a.gguf', '.a'], []],
  ['llama-3*', ['Llama-3-8B.gguf', 'llama-3'], ['my-llama-3.gguf']],
  ['*Q4_K_M*.gguf', ['x-q4_k_m.gguf', 'Q4_K_M-00001-of-00002.GGUF'], ['x-q4_k_s.gguf', 'q4_k_m.gguf.part']],
  ['shard-[0-2].gguf', ['shard-0.gguf', 'shard-2.gguf'], ['shard-3.gguf', 'shard-10.gguf']],
  ['[!a-c]x', ['dx', '-x'], ['ax', 'x']],
  ['[]-]', [']', '-'], ['a']],
  ['a?c', ['abc', 'a😀c'], ['ac', 'abbc']],
  ['a.c', ['a.c'], ['abc']],
  ['*a*b*c', ['abc', 'xaxbxc', 'aabbcc'], ['acb', 'abcd']],
  ['**x', ['x', 'aax'], ['xa']],
  ['(a|b)+$', ['(a|b)+$'], ['a']],
]

test('matches whole names, in any case', () => {
  for (const [pattern, yes, no] of MATCHES) {
    const matches = compileGlob(pattern, '--want')
    for (const name of yes) assert.ok(matches(name), `${pattern} matches ${name}`)
    for (const name of no) assert.ok(!matches(name), `${pattern} does not match ${name}`)
  }
})

test('no pair of pattern and name takes long', () => {
  const matches = compileGlob(`${'*a'.repeat(400)}b`, '--want')
  const startedAt = cpuTimeMs()
  for (let times = 0; times < 100; times++) assert.ok(!matches('a'.repeat(255)))
  assert.ok(cpuTimeMs() - startedAt < 2_000)
})

test('what is no pattern of names is refused', () => {
  for (const pattern of ['', '  ', 'a/b', 'a\\b', '[a', 'x'.repeat(1_001)]) {
    assert.throws(() => compileGlob(pattern, '--want'), { code: 'bad-glob', message: /--want/ })
  }
})
