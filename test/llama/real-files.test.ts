/**
 * Our reader on files that others wrote: the vocabularies in llama.cpp's own repository, which node-llama-cpp
 * carries as a git bundle. They belong to the makers of their models, so they are unpacked for the test only.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { inspectGguf } from '../../src/gguf/inspect.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { prepareLlama } from './prepare.ts'

const BUNDLE = join(import.meta.dirname, 'node_modules/node-llama-cpp/llama/gitRelease.bundle')

/** So many are in the pinned version. */
const VOCABULARIES = 19

let unavailable: string | undefined
before(async () => {
  unavailable = await prepareLlama()
})

test('the vocabularies of llama.cpp are whole, and not whole without their last byte', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable)
  const folder = await temporaryFolder(t)
  const repository = join(folder, 'repository')
  execFileSync('git', ['clone', '--quiet', '--bare', BUNDLE, repository])
  const git = ['--git-dir', repository]
  const list = execFileSync('git', [...git, 'ls-tree', '-r', '--name-only', 'HEAD', 'models/'], {
    encoding: 'utf8',
  })
  const names = list.split('\n').filter((name) => name.endsWith('.gguf'))
  assert.equal(names.length, VOCABULARIES)
  for (const name of names) {
    const path = join(folder, 'vocabulary.gguf')
    const output = openSync(path, 'w')
    execFileSync('git', [...git, 'show', `HEAD:${name}`], { stdio: ['ignore', output, 'inherit'] })
    closeSync(output)
    const { size } = statSync(path)
    const start = performance.now()
    const verdict = await inspectGguf(path)
    t.diagnostic(`${name}: ${size} bytes, ${Math.round(performance.now() - start)} ms`)
    assert.equal(verdict.kind, 'whole', name)
    assert.equal(verdict.minimumLength, size, name)
    assert.ok(verdict.header.metadata.has('general.architecture'), name)
    assert.equal((await inspectGguf(path, { length: size - 1 })).kind, 'incomplete', name)
  }
})
