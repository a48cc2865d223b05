/** A download that is killed again and again goes on where it was, and shows nothing before it is whole. */
import assert from 'node:assert/strict'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { writeModel } from '../helpers/gguf.ts'
import type { CliEvent, EventNamed } from '../helpers/process.ts'
import { Random, TEST_SEED } from '../helpers/random.ts'
import {
  assertGot,
  type Cli,
  ended,
  PATIENCE_MS,
  scratchFolder,
  startBootstrap,
  startGet,
  startHost,
  visibleFiles,
} from '../helpers/swarm.ts'

const MIB = 1024 * 1024
const BYTES = 320 * MIB
const UPLOAD_LIMIT = 25 * MIB
const KILLS = 3
/** What is fetched again after a kill, in seconds of downloading: the note of what is there lags so far behind. */
const LOST_SECONDS = 2

type Progress = EventNamed<CliEvent, 'progress'>

test('kill -9 at any moment, and go on', async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const random = new Random(TEST_SEED)
  const folder = await scratchFolder(t)
  const out = join(folder, 'out')
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', 'large.gguf')
  await writeModel(original, { bytes: BYTES, seed: TEST_SEED })
  const { address: bootstrap } = await startBootstrap(t)
  const args = ['--upload-limit', String(UPLOAD_LIMIT)]
  const host = await startHost(t, join(folder, 'shards'), { bootstrap, args })
  const { infoHash } = await host.announced('large.gguf')
  const peer = await host.address()
  const get = (): Cli => startGet(t, [infoHash], { bootstrap, out, args: ['--peer', peer] })

  let verifiedBytes = 0
  for (let kill = 1; kill <= KILLS; kill++) {
    const cli = get()
    const first = await moving(cli, verifiedBytes)
    assert.ok(
      first.verifiedBytes >= verifiedBytes - LOST_SECONDS * UPLOAD_LIMIT,
      `had ${verifiedBytes} bytes, went on from ${first.verifiedBytes}`,
    )
    await pause(random.between(200, 1_200)) // the moment is the scenario
    cli.kill('SIGKILL')
    await cli.exited
    verifiedBytes = progressOf(cli).at(-1)!.verifiedBytes
    t.diagnostic(
      `kill ${kill} at ${Math.round(verifiedBytes / MIB)} MiB, went on from ${Math.round(first.verifiedBytes / MIB)} MiB`,
    )
    assert.deepEqual(await visibleFiles(out), [], 'nothing is shown before it is whole')
  }
  assert.ok(verifiedBytes > 0 && verifiedBytes < BYTES, `the kills came in time: ${verifiedBytes}`)
  const last = get()
  await moving(last, verifiedBytes)
  await assertGot(await ended(last), [original])
  assert.deepEqual(await readdir(out), ['large.gguf'], 'nothing hidden is left either')
})

function progressOf(cli: Cli): readonly Progress[] {
  return cli.events().filter((event) => event.event === 'progress')
}

/** The first progress that counts what an earlier run left and, with nothing left, the first bytes. */
async function moving(cli: Cli, verifiedBytes: number): Promise<Progress> {
  const where = (event: Progress): boolean => verifiedBytes === 0 || event.peers > 0
  return cli.waitForEvent('progress', {
    timeoutMs: PATIENCE_MS,
    where: (event) => event.verifiedBytes > 0 && where(event),
  })
}
