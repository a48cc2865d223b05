/** The whole way: hosts as processes that copy from each other, the `web` command, and its page in a browser. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startFleet } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import { PATIENCE_MS } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { startWebCommand } from '../helpers/web-command.ts'
import { openPageAt, skipWithoutBrowser, textOf } from './browser.ts'

const skip = skipWithoutBrowser()
/** A host that is killed is gone from the page within this. */
const GONE_MS = 60_000

test('hosts fill the matrix, and one that is killed leaves it', { skip }, async (t) => {
  const fleet = await startFleet(t, { hosts: 3, args: ['--replicate', '--upload-limit', '2M'], bytes: 4e6 })
  const { url } = await startWebCommand(t, fleet.memberArgs)
  const { page } = await openPageAt(t, url)
  const cells = (state: string) => page.locator(`.row.is-shard .cell.is-${state}`).count()
  await until(async () => (await cells('whole')) === 9, {
    timeoutMs: 2 * PATIENCE_MS,
    what: 'nine whole copies',
  })
  assert.match(await textOf(page, '.row.is-model .cell-name'), /3 of 3 shards, weakest has 3 seeds/)

  // At 2 MiB a second the two others need seconds for it, and the page is told four times a second.
  await writeModel(join(fleet.hosts[0]!.folder, 'later.gguf'), { bytes: 12_000_000, seed: 77 })
  await until(async () => (await cells('fetching')) > 0, {
    timeoutMs: PATIENCE_MS,
    what: 'a copy on its way',
    everyMs: 50,
  })
  await until(async () => (await cells('whole')) === 12, {
    timeoutMs: 2 * PATIENCE_MS,
    what: 'twelve whole copies',
  })

  const [, killed] = fleet.hosts
  killed!.cli.kill('SIGKILL')
  const killedAt = performance.now()
  await page
    .getByRole('columnheader', { name: /host shard-1: lost/ })
    .waitFor({ timeout: GONE_MS - (performance.now() - killedAt) })
  assert.match(await textOf(page, '.alarms'), /host shard-1 \(127\.0\.0\.1:\d+\) is lost/)
  await until(async () => (await page.locator('.cell-host').count()) === 2, {
    timeoutMs: GONE_MS - (performance.now() - killedAt),
    what: 'the killed host is gone',
  })
  t.diagnostic(`gone ${Math.round((performance.now() - killedAt) / 1000)} s after it was killed`)
})
