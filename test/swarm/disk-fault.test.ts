/** A disk that gives back something else than it was given, which no peer is to blame for. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseAddressOption } from '../../src/config.ts'
import { InvalidDataError } from '../../src/errors.ts'
import { type GetState, Getter } from '../../src/fleet/download/getter.ts'
import { HashPool, type ReadBackFile } from '../../src/library/hash-pool.ts'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { startNetwork } from '../helpers/foreign-member.ts'
import { writeModel } from '../helpers/gguf.ts'
import { PATIENCE_MS, scratchFolder, startBootstrap, startHost, visibleFiles } from '../helpers/swarm.ts'

/** Reads every piece back, and finds it wrong from the third on. */
class FaultyDisk extends HashPool {
  override readBack(job: Parameters<HashPool['readBack']>[0]): ReadBackFile {
    const file = super.readBack(job)
    let good = 2
    return { ...file, put: async (index, bytes) => (await file.put(index, bytes)) && --good >= 0 }
  }
}

test('what does not read back as it was received ends the download, and nobody is banned for it', async (t) => {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  await writeModel(join(folder, 'shards', 'model.gguf'), { bytes: 4_000_000, seed: 1 })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, join(folder, 'shards'), { bootstrap })
  const { infoHash } = await host.announced('model.gguf')
  const peer = parseAddressOption(await host.address(), 'host')
  const network = await startNetwork(t, bootstrap, { readOnly: true })
  await using pool = new FaultyDisk()
  const out = join(folder, 'out')
  const id = { kind: 'infoHash', infoHash: parseInfoHash(infoHash)!, peers: [peer] } as const
  const states: GetState[] = []
  const getter = new Getter(
    network,
    pool,
    { id, out, peers: [], timeoutMs: PATIENCE_MS },
    { onEvent: () => undefined, onState: (state) => states.push(state) },
  )
  await assert.rejects(getter.run(AbortSignal.timeout(PATIENCE_MS)), (error) => {
    assert.ok(error instanceof InvalidDataError)
    assert.equal(error.code, 'corrupt')
    assert.match(error.message, /model\.gguf .* does not read back as it was received; check the disk/)
    return true
  })
  assert.deepEqual(await visibleFiles(out), [])
  assert.ok(states.every(({ stall }) => !stall?.reason.includes('dropped')))
})
