/** Recipes for standard clients: what is printed is what is documented, and what the interop tests use. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { CLIENTS, recipeOf, recipes, recipeText } from '../../src/commands/recipes.ts'
import { startCli } from '../helpers/process.ts'

const bootstrap = { host: '10.0.0.1', port: 51820 }
const ADDRESS = '10.0.0.1:51820'

test('docs/clients.md has the very texts', async () => {
  const text = await readFile(new URL('../../docs/clients.md', import.meta.url), 'utf8')
  for (const client of CLIENTS) {
    const recipe = recipeText(recipeOf(client, { bootstrap, magnet: 'magnet:?xt=urn:btih:…' }))
    assert.ok(text.includes(`\`\`\`text\n${recipe}\n\`\`\`\n`), `docs/clients.md lacks\n${recipe}`)
  }
})

test('what the tests set a client up with stands in the text', () => {
  for (const client of CLIENTS) {
    const recipe = recipeOf(client, { bootstrap, magnet: 'magnet:?x' })
    const { args, file, settings, opensTorrentFirst } = recipe.setUp
    const text = recipeText(recipe)
    const values = [...args, ...(file?.text.trim().split('\n') ?? []), ...Object.values(settings)]
    for (const value of values) assert.ok(text.includes(value), `${client}: ${value}`)
    if (opensTorrentFirst) assert.match(text, /Open one \.torrent file/)
    assert.ok(values.length > 0 || opensTorrentFirst, client)
    assert.match(text, /magnet:\?x/)
  }
})

test('bootstrap shows a line for each', () => {
  const lines = recipes(bootstrap)
  assert.equal(lines.length, CLIENTS.length + 1)
  assert.ok(lines.every((line) => !line.includes('\n')))
})

test('the command prints it with the values of this fleet', async (t) => {
  const shard = 'fixtures/shards/shard-0.gguf'
  const cli = startCli(t, ['recipe', 'aria2', shard, '--bootstrap', ADDRESS])
  assert.equal((await cli.exited).code, 0, cli.stderr)
  const [magnet = ''] = /magnet:\?xt=urn:btih:[0-9a-f]{40}[^']*/.exec(cli.stdout) ?? []
  assert.equal(cli.stdout, `${recipeText(recipeOf('aria2', { bootstrap, magnet }))}\n`)
  const json = startCli(t, ['recipe', 'transmission', '--bootstrap', ADDRESS, '--json'])
  await json.exited
  const [event] = json.events() as unknown as { setUp: unknown }[]
  assert.deepEqual(event?.setUp, recipeOf('transmission', { bootstrap, magnet: '' }).setUp)
  // Nobody else can use 127.0.0.1, and most clients ignore it.
  const local = startCli(t, ['recipe', 'transmission', '--no-config'])
  await local.exited
  assert.doesNotMatch(local.stdout, /127\.0\.0\.1/)
  const open = startCli(t, ['recipe', 'aria2', '--public', '--json', shard])
  assert.equal((await open.exited).code, 0, open.stderr)
  const told = JSON.parse(open.stdout) as { readonly magnets: readonly string[] } // one line, and no other
  assert.deepEqual(told.magnets, [magnet])
  const wrong = startCli(t, ['recipe', 'transmision'])
  assert.equal((await wrong.exited).code, 2)
  assert.match(wrong.stderr, /client: 'transmision' is none of .*; did you mean transmission\?/)
})
