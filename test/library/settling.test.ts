/** What is decided about a file that is not what it was a moment ago. */
import assert from 'node:assert/strict'
import { stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { decideOn, settlingOf } from '../../src/library/settling.ts'
import { writeModel } from '../helpers/gguf.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { TIMES } from './library-kit.ts'

const BYTES = 100_000
const NEVER = new AbortController().signal
/** Nothing has to be quiet for any time. */
const AT_ONCE = Object.fromEntries(Object.keys(TIMES).map((key) => [key, 0])) as unknown as typeof TIMES

test('what the bytes say counts for the file that was seen, not for one that came since', async (t) => {
  const path = join(await temporaryFolder(t), 'a.gguf')
  const decide = async (change: () => Promise<void>) => {
    const stats = await stat(path, { bigint: true })
    const state = settlingOf({ stats, known: undefined, before: undefined, restMs: 0 })
    await change()
    const decision = await decideOn({ path, name: 'a.gguf', stats }, state, AT_ONCE, NEVER)
    return { decision, evidence: state.evidence }
  }
  await writeModel(path, { bytes: BYTES, seed: 1 })
  await truncate(path, BYTES - 1)
  const lookAgain = { decision: { kind: 'wait', forMs: 0 }, evidence: undefined }
  assert.deepEqual(await decide(() => writeModel(path, { bytes: BYTES, seed: 1 })), lookAgain, 'became whole')
  assert.deepEqual((await decide(async () => {})).decision, { kind: 'whole' })
  assert.deepEqual(await decide(() => truncate(path, 1_000)), lookAgain, 'was cut')
})
