/** `get` by name inside a fleet: shards and models. */
import assert from 'node:assert/strict'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startFleet } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertGot,
  ended,
  type Got,
  runGet,
  scratchFolder,
  startBootstrap,
  startHost,
  startQuietCli,
  visibleFiles,
} from '../helpers/swarm.ts'
import { getNamed, refused } from './names-kit.ts'

test('a model and its shards by name', async (t) => {
  const fleet = await startFleet(t, { hosts: 3, shards: 6 })
  const { originals } = fleet
  const names = originals.map((path) => basename(path))

  await t.test('a model: all shards, and the path of the first', async (t) => {
    const got = await getNamed(t, fleet, ['tiny'], { json: false, out: 'model' })
    assert.equal(got.code, 0, got.stderr)
    assert.equal(got.stdout, `${join(got.out, names[0]!)}\n`)
    assert.deepEqual(await visibleFiles(got.out), names)
    for (const original of originals) {
      assert.ok((await readFile(join(got.out, basename(original)))).equals(await readFile(original)))
    }
    assert.match(got.stderr, /✓ tiny: 6 shards in /)
  })

  await t.test('with --json each shard, and then the model', async (t) => {
    // One of its shards is named too: it is fetched once.
    const got = await getNamed(t, fleet, ['tiny', names[2]!], { out: 'json' })
    await assertGot(got, originals)
    const { time: _, ...model } = got.events.find((event) => event.event === 'model') ?? { time: '' }
    const paths = names.map((name) => join(got.out, name))
    assert.deepEqual(model, { event: 'model', name: 'tiny', path: paths[0], shards: paths })
    let [inFlight, most] = [0, 0]
    for (const { event } of got.events) {
      if (event === 'metadata') most = Math.max(most, ++inFlight)
      if (event === 'done') inFlight--
    }
    assert.ok(most <= 4, `${most} at once`)
  })

  await t.test(
    'a shard that cannot be fetched: the others land, it is named, no path is printed',
    async (t) => {
      const out = join(fleet.folder, 'partly')
      await mkdir(out)
      await writeModel(join(out, names[3]!), { bytes: 5_000, seed: 77 })
      const got = await getNamed(t, fleet, ['tiny'], { json: false, out: 'partly' })
      assert.equal(got.code, 4, got.stderr)
      assert.equal(got.stdout, '')
      assert.match(
        got.stderr,
        /✗ tiny: 5 of 6 shards are there, missing: tiny-00004-of-00006\.gguf; the same command/,
      )
      assert.deepEqual(await visibleFiles(out), names)

      await rm(join(out, names[3]!))
      const again = await getNamed(t, fleet, ['tiny'], { out: 'partly' })
      await assertGot(again, originals)
    },
  )

  await t.test('a shard', async (t) => {
    const got = await getNamed(t, fleet, [names[4]!], { json: false, out: 'shard' })
    assert.equal(got.stdout, `${join(got.out, names[4]!)}\n`, got.stderr)
    assert.deepEqual(await visibleFiles(got.out), [names[4]])
  })

  await t.test('`magnet` prints the links of its shards, and of one', async (t) => {
    const told = await Promise.all(
      originals.map((_, at) => fleet.hosts[at % 3]!.seeding(names[at]!).then(({ magnet }) => magnet)),
    )
    const magnet = (name: string) => ended(startQuietCli(t, ['magnet', name, ...fleet.memberArgs]))
    const [model, shard, none] = await Promise.all([magnet('tiny'), magnet(names[1]!), magnet('none.gguf')])
    assert.equal(model.stdout, `${told.join('\n')}\n`, model.stderr)
    assert.equal(shard.stdout, `${told[1]}\n`, shard.stderr)
    assert.equal(none.code, 3)
    assert.match(
      none.stderr,
      /there is no file none\.gguf here, and nothing in the fleet .* is called none\.gguf/,
    )
  })

  await t.test('an unknown name: near ones are named', async (t) => {
    const got = await getNamed(t, fleet, ['tinny'], { out: 'unknown' })
    assert.match(await refused(t, got, 3, 'unknown-name'), /called tinny; did you mean tiny\?$/)
  })

  await t.test('a model that lacks a shard: which, and nothing is fetched', async (t) => {
    await rm(join(fleet.hosts[1]!.folder, names[1]!))
    await fleet.hosts[1]!.cli.waitForEvent('withdrawn', { timeoutMs: 30_000 })
    const got = await getNamed(t, fleet, ['tiny'], { out: 'missing' })
    const message = await refused(t, got, 3, 'incomplete')
    assert.ok(message.startsWith(`tiny: shard 2 (${names[1]}) of 6 is on no host`), message)
  })
})

test('where no fleet is reached, the reason is told', { concurrency: 2 }, async (t) => {
  const folder = await scratchFolder(t)
  const bootstrap = await startBootstrap(t)
  const get = (t: TestContext, name: string, args: readonly string[], where = bootstrap.address) =>
    runGet(t, [name], { bootstrap: where, out: join(folder, 'out'), args: [...args, '--timeout', '4'] })
  const noHosts = async (t: TestContext, got: Got, ...words: readonly string[]) => {
    const message = await refused(t, { ...got, out: join(folder, 'out') }, 3, 'no-hosts')
    for (const word of words) assert.ok(message.includes(word), `${message}\nlacks ${word}`)
  }
  await Promise.all([
    t.test('nobody is in it', async (t) => {
      await noHosts(t, await get(t, 'tiny', ['--fleet', 'lonely']), "'lonely'", '--fleet-key FILE')
    }),
    t.test('no bootstrap answers', async (t) => {
      await noHosts(t, await get(t, 'tiny', [], '127.0.0.1:9'), '127.0.0.1:9', '--bootstrap HOST:PORT')
    }),
    t.test('no such key', async (t) => {
      const got = await get(t, 'tiny', ['--fleet-key', join(folder, 'none.key')])
      const message = await refused(t, { ...got, out: join(folder, 'out') }, 2, 'bad-key')
      assert.ok(message.includes('none.key'), message)
    }),
    t.test('without any option the open fleet of this DHT is meant', async (t) => {
      const shards = join(folder, 'shards')
      await mkdir(shards)
      await writeModel(join(shards, 'solo.gguf'), { bytes: 600_000, seed: 1 })
      const host = await startHost(t, shards, { bootstrap: bootstrap.address })
      await host.announced('solo.gguf')
      const got = await runGet(t, ['solo'], { bootstrap: bootstrap.address, out: join(folder, 'solo') })
      await assertGot(got, [join(shards, 'solo.gguf')])
    }),
  ])
})
