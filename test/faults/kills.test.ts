/** kill -9 at system calls and at any other moment, in the short form; `npm run test:soak kills` does it by the hundred. */
import { test } from 'node:test'
import { Random, TEST_SEED } from '../helpers/random.ts'
import { skipUnless } from '../helpers/requirements.ts'
import { STRACE } from '../helpers/strace.ts'
import { killDownloads } from './get-kills.ts'
import { killBootstraps, killHosts } from './host-kills.ts'

const KILLS = 4
const skip = skipUnless(STRACE)
const enough = (kills: number): boolean => kills >= KILLS

test('a download that is killed goes on where it was', { skip }, async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const figures = await killDownloads(t, new Random(TEST_SEED), {
    bytes: 6_000_000,
    longestMs: 2_000,
    enough,
  })
  t.diagnostic(JSON.stringify(figures))
})

test('a host that is killed knows itself and its shards', { skip }, async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  t.diagnostic(JSON.stringify(await killHosts(t, new Random(TEST_SEED), enough)))
})

test('a bootstrap that is killed is the same one again', { skip }, async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  t.diagnostic(JSON.stringify(await killBootstraps(t, new Random(TEST_SEED), enough)))
})
