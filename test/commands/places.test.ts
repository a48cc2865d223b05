/** Where other programs keep their models, by platform and environment; which folders `seed` takes. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { foldersToSeed, huggingFaceHub, PLACES } from '../../src/commands/places.ts'
import { webSeedChoice } from '../../src/commands/web-seeds.ts'
import { UsageError } from '../../src/errors.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const HOME = '/home/me'
const place = (name: string, env: Record<string, string> = {}, platform: NodeJS.Platform = 'linux') =>
  PLACES[name]?.(HOME, env, platform)

test('the usual folders, and those that the environment names', () => {
  assert.equal(huggingFaceHub(HOME, {}), '/home/me/.cache/huggingface/hub')
  assert.equal(huggingFaceHub(HOME, { XDG_CACHE_HOME: '/x' }), '/x/huggingface/hub')
  assert.equal(huggingFaceHub(HOME, { HF_HOME: '/hf', XDG_CACHE_HOME: '/x' }), '/hf/hub')
  assert.equal(huggingFaceHub(HOME, { HF_HUB_CACHE: '/hub', HF_HOME: '/hf' }), '/hub')
  assert.deepEqual(place('lmstudio'), ['/home/me/.lmstudio/models', '/home/me/.cache/lm-studio/models'])
  assert.deepEqual(place('ollama')?.[0], '/home/me/.ollama/models')
  assert.deepEqual(place('ollama', { OLLAMA_MODELS: '/o' }), ['/o'])
  assert.deepEqual(place('llama.cpp'), ['/home/me/.cache/llama.cpp'])
  assert.deepEqual(place('llama.cpp', {}, 'darwin'), ['/home/me/Library/Caches/llama.cpp'])
  assert.deepEqual(place('llama.cpp', { LOCALAPPDATA: '/local' }, 'win32'), ['/local/llama.cpp'])
})

test('folders and programs together; one that keeps nothing, and one that is none, are said', async (t) => {
  const hub = await temporaryFolder(t)
  const before = process.env['HF_HUB_CACHE']
  t.after(() => {
    if (before === undefined) delete process.env['HF_HUB_CACHE']
    else process.env['HF_HUB_CACHE'] = before
  })
  process.env['HF_HUB_CACHE'] = hub
  await mkdir(join(hub, 'models--a--b'))
  assert.deepEqual(await foldersToSeed(['models'], ['huggingface']), ['models', hub])
  assert.deepEqual(await foldersToSeed([], []), ['models_cache/shards'])
  process.env['HF_HUB_CACHE'] = join(hub, 'not-there')
  const refused = (code: string) => (error: unknown) => error instanceof UsageError && error.code === code
  await assert.rejects(foldersToSeed([], ['huggingface']), refused('no-models'))
  await assert.rejects(foldersToSeed([], ['huggingface,constructor']), refused('no-models'))
  await assert.rejects(foldersToSeed([], ['constructor']), refused('bad-place'))
})

test('web seeds are asked only when somebody says so', () => {
  assert.equal(webSeedChoice({ webSeeds: false }), null)
  assert.deepEqual(webSeedChoice({ webSeeds: true }), { urls: [], ofLinks: true })
  assert.deepEqual(webSeedChoice({ webSeeds: false, webSeed: ['http://a/'] }), {
    ...{ urls: ['http://a/'], ofLinks: false },
  })
  assert.throws(() => webSeedChoice({ webSeeds: true, webSeed: ['file:///x'] }), UsageError)
})
