/** A download that is killed again and again, with a count of what comes over the wire. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemCode } from '../../src/errors.ts'
import { writeModel } from '../helpers/gguf.ts'
import type { Random } from '../helpers/random.ts'
import { countingRelay } from '../helpers/relay-counter.ts'
import { PATIENCE_MS, scratchFolder, startHost } from '../helpers/swarm.ts'
import { chooseDeath, type Death, describeDeath, runUntilDeath, startWatcher } from './kills.ts'

const MIB = 1024 * 1024
const UPLOAD_LIMIT = 4 * MIB
/**
 * What is in flight when a kill comes, in seconds of the limit: what the sockets hold, what is on its way to the disk,
 * and what came since the last note, which is 250 ms old, and as much older as flushes are made slow.
 */
const IN_FLIGHT_SECONDS = 2.5
/** Handshakes, metadata and headers of blocks. */
const OVERHEAD_BYTES = MIB / 2
const NAME = 'killed.gguf'
/** Nobody: the peer is named. */
const NO_BOOTSTRAP = '127.0.0.1:9'

/** How much of it there is. */
export interface GetKillsOptions {
  readonly bytes: number
  /** Somewhat longer than a whole run takes, so that the last moments are met too. */
  readonly longestMs: number
  readonly enough: (kills: number) => boolean
}

/** Figures of a run. */
export interface GetKills {
  readonly kills: number
  readonly atCalls: number
  readonly downloads: number
  /** Received by one that was killed, and not yet noted. */
  readonly meanInFlightMiB: number
  readonly mostInFlightMiB: number
  readonly looks: number
}

/** Kills downloads of one file until `enough` says so; the last one is let finish. */
export async function killDownloads(
  t: TestContext,
  random: Random,
  { bytes, longestMs, enough }: GetKillsOptions,
): Promise<GetKills> {
  const folder = await scratchFolder(t)
  const out = join(folder, 'out')
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', NAME)
  await writeModel(original, { bytes, seed: random.below(1_000_000) })
  const host = await startHost(t, join(folder, 'shards'), {
    bootstrap: NO_BOOTSTRAP,
    args: ['--upload-limit', String(UPLOAD_LIMIT)],
  })
  const { infoHash } = await host.seeding(NAME)
  const relay = await countingRelay(t, await host.address())
  const watch = await startWatcher(t, [out], [original])
  const args = ['get', infoHash, '--out', out, '--bind', '127.0.0.1', '--bootstrap', NO_BOOTSTRAP]
  const command = [...args, '--peer', relay.address, '--timeout', String(PATIENCE_MS / 1_000)]

  let [kills, atCalls, downloads, inFlight, mostInFlight] = [0, 0, 0, 0, 0]
  let isWell = true // after a failure nothing is to be learned, and kills may not count up any more
  while (isWell && !enough(kills)) {
    const death = chooseDeath(random, { longestMs })
    isWell = false
    await t.test(`kill ${kills + 1}: ${describeDeath(death)}`, async (t) => {
      await attempt(t, death)
      isWell = true
    })
  }
  await t.test('and let finish', (t) => attempt(t, { kind: 'moment', atMs: 2 * PATIENCE_MS }))
  const { looks, files } = await watch.end()
  assert.ok(files >= downloads, `${files} files seen of ${downloads}`)
  const meanInFlightMiB = inFlight / MIB / Math.max(1, kills)
  return { kills, atCalls, downloads, meanInFlightMiB, mostInFlightMiB: mostInFlight / MIB, looks }

  async function attempt(t: TestContext, death: Death): Promise<void> {
    const [bytesBefore, notedBefore] = [relay.bytes, await notedBytes(out, infoHash, bytes)]
    const { code, signal, running } = await runUntilDeath(t, command, death, 2 * PATIENCE_MS)
    watch.check()
    const fetched = relay.bytes - bytesBefore
    if (signal === 'SIGKILL') {
      kills++
      if (death.kind === 'call') atCalls++
      // A file that was named a moment before has no note any more.
      const isNamed = (await readdir(out)).includes(NAME)
      const lost = isNamed
        ? 0
        : Math.max(0, fetched - ((await notedBytes(out, infoHash, bytes)) - notedBefore))
      t.diagnostic(`from ${mib(notedBefore)}, fetched ${mib(fetched)}, of which ${mib(lost)} were in flight`)
      assert.ok(lost <= IN_FLIGHT_SECONDS * UPLOAD_LIMIT + OVERHEAD_BYTES, `${lost} bytes are not noted`)
      inFlight += lost
      mostInFlight = Math.max(mostInFlight, lost)
      return
    }
    assert.equal(code, 0, running.stderr)
    downloads++
    assert.deepEqual(await readdir(out), [NAME], 'nothing hidden is left')
    const again = fetched - (bytes - notedBefore)
    assert.ok(again <= OVERHEAD_BYTES, `${again} bytes were fetched again that were noted`)
    await rm(join(out, NAME))
  }
}

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`

/** Bytes of the pieces that a download's note has, as another run will read it. */
async function notedBytes(out: string, infoHash: string, length: number): Promise<number> {
  const folder = join(out, '.gguf-swarm', infoHash)
  try {
    if ((await stat(join(folder, 'data'))).size !== length) return 0
    const note = JSON.parse(await readFile(join(folder, 'pieces.json'), 'utf8')) as {
      readonly written: string
      readonly pieceLength: number
    }
    const bits = Buffer.from(note.written, 'base64').reduce((sum, byte) => sum + ones(byte), 0)
    return Math.min(length, bits * note.pieceLength)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0
    throw error
  }
}

const ones = (byte: number): number => byte.toString(2).replaceAll('0', '').length
