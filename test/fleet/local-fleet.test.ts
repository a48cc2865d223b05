/** A fleet of processes on one machine, of which some do not start. */
import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { LocalFleet } from '../../src/fleet/local-fleet.ts'
import { temporaryFolder } from '../helpers/temp.ts'

/** Stands for this program: it leaves a file, says that it listens, and stays. */
const STUB = `
  require('node:fs').writeFileSync(require('node:path').join(process.argv[2], process.argv[3] + process.pid), '')
  console.log('{"event":"listening","port":1}')
  process.on('disconnect', () => process.exit())
  setInterval(() => undefined, 1000)
`

test('when one host cannot be started, none is started after all are stopped', async (t) => {
  const folder = await temporaryFolder(t)
  const [stub, begun, stateDir] = [join(folder, 'stub.cjs'), join(folder, 'begun'), join(folder, 'state')]
  await writeFile(stub, STUB)
  await mkdir(begun)
  // The first finds a file in place of its folder; the second has much to look at before it starts.
  await mkdir(join(stateDir, 'shard-0'), { recursive: true })
  await writeFile(join(stateDir, 'shard-0', 'shards'), '')
  const share = join(stateDir, 'shard-1', 'shards')
  await mkdir(share, { recursive: true })
  for (let file = 0; file < 500; file++) await writeFile(join(share, `${file}.gguf`), '')
  const options = {
    ...{ hosts: 2, bind: '127.0.0.1', bootstrapPort: 0, httpPort: 0, livePort: 0 },
    ...{ keyFile: join(folder, 'key'), stateDir, torrentsDir: folder, shards: [] },
    self: [process.execPath, stub, begun] as const,
  }
  const listener = { onHostEvent: () => undefined, onDied: () => undefined }
  await assert.rejects(LocalFleet.start(options, listener), /shard-0/)
  await delay(500) // longer than the second needed to look at its folder
  const kinds = (await readdir(begun)).map((name) => name.replace(/\d+$/, ''))
  assert.ok(!kinds.includes('seed'), kinds.join(', '))
})
