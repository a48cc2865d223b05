/** A file that takes its time to arrive is seeded once, when it is whole, and never before. */
import assert from 'node:assert/strict'
import { appendFile, mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { writeModel } from '../helpers/gguf.ts'
import { assertGot, type Host, runGet, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'

const BYTES = 2_500_000
const PARTS = 5
/** Between two parts; one of the pauses is longer than a host waits for quiet. */
const PAUSES_MS = [500, 4_500, 1_500, 2_500]
const SEEDED_WITHIN_MS = 15_000

interface Scene {
  readonly folder: string
  readonly bootstrap: string
  readonly host: Host
  /** What the file is to become. */
  readonly original: string
}

async function setUp(t: TestContext): Promise<Scene> {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'original.gguf')
  await writeModel(original, { bytes: BYTES, seed: 11 })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, join(folder, 'shards'), { bootstrap })
  await host.address()
  return { folder, bootstrap, host, original }
}

/** Gives the file part by part, with pauses between, and looks each time that it is not offered yet. */
async function inParts(host: Host, original: string, write: (part: Buffer, at: number) => Promise<unknown>) {
  const bytes = await readFile(original)
  const step = Math.ceil(BYTES / PARTS)
  for (let index = 0; index < PARTS; index++) {
    if (index > 0) await pause(PAUSES_MS[index - 1]) // the scenario itself: somebody copies slowly
    const early = host.story('slow.gguf').filter((event) => event !== 'waiting')
    assert.deepEqual(early, [], `before part ${index + 1} of ${PARTS}`)
    await write(bytes.subarray(index * step, (index + 1) * step), index * step)
  }
}

async function isSeededOnce(
  t: TestContext,
  { folder, bootstrap, host, original }: Scene,
  lastByteAt: number,
) {
  const { infoHash } = await host.announced('slow.gguf')
  const tookMs = performance.now() - lastByteAt
  t.diagnostic(`announced ${Math.round(tookMs)} ms after the last byte`)
  assert.ok(tookMs < SEEDED_WITHIN_MS, `${tookMs} ms`)
  await assertGot(await runGet(t, [infoHash], { bootstrap, out: join(folder, 'out') }), [original])
  assert.deepEqual(
    host.story('slow.gguf').filter((event) => event !== 'waiting'),
    ['hashing', 'seeding'],
  )
}

test('a file that arrives slowly is seeded once, when it is whole', { concurrency: true }, async (t) => {
  await Promise.all([
    t.test('a copy that grows, as dd with pauses makes it', async (t) => {
      const scene = await setUp(t)
      const target = join(scene.folder, 'shards', 'slow.gguf')
      await inParts(scene.host, scene.original, (part) => appendFile(target, part))
      await isSeededOnce(t, scene, performance.now())
      assert.ok(scene.host.story('slow.gguf').includes('waiting'), 'it was said why nothing happens')
    }),
    t.test('a file of full length from the start, filled while it is open', async (t) => {
      const scene = await setUp(t)
      await using target = await open(join(scene.folder, 'shards', 'slow.gguf'), 'w')
      await target.truncate(BYTES)
      await inParts(scene.host, scene.original, (part, at) => target.write(part, 0, part.length, at))
      await target.close()
      await isSeededOnce(t, scene, performance.now())
    }),
  ])
})
