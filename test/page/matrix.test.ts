/** The matrix in a real browser: it fills while one looks, lost hosts show and go, rows are found, folded, ordered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../helpers/until.ts'
import { openPage, skipWithoutBrowser, textOf } from './browser.ts'
import { GeneratedFleet, namesFrom } from './fleet-generator.ts'

const skip = skipWithoutBrowser()
const WITHIN = { timeoutMs: 10_000 }

const fourByFour = (): GeneratedFleet =>
  new GeneratedFleet({
    hostNames: namesFrom('shard', 4),
    models: [{ name: 'tiny', count: 4, shardLength: 400e6 }],
    bytesPerSecond: 40e6,
  })

test('the matrix fills live', { skip }, async (t) => {
  const fleet = fourByFour()
  const { page } = await openPage(t, fleet)
  const whole = page.locator('.row.is-shard .cell.is-whole')
  assert.equal(await whole.count(), 4)
  assert.match(await textOf(page, '.figure:nth-child(2)'), /Copies 4 of 16/)
  assert.equal(
    await page
      .locator('.alarm-group summary')
      .innerText()
      .then((text) => text.includes('4 shards')),
    true,
  )

  fleet.step(3_000)
  await until(async () => (await page.locator('.row.is-shard .cell.is-fetching').count()) === 4, WITHIN)
  assert.match(await textOf(page, '.figure:nth-child(4)'), /Up \d+(\.\d+)? MB\/s/)
  fleet.setProgress('tiny-00002-of-00004.gguf', 'shard-0', 0.459)
  const cell = page.getByRole('gridcell', { name: 'shard-0, tiny-00002-of-00004.gguf: fetching, 45 %' })
  await cell.waitFor()
  assert.equal(await cell.innerText(), '45 %')
  const [fill, frame] = [await cell.locator('.fill').boundingBox(), await cell.locator('.mark').boundingBox()]
  assert.ok(fill && frame)
  await until(
    async () =>
      Math.abs(((await cell.locator('.fill').boundingBox())?.width ?? 0) / frame.width - 0.45) < 0.02,
    WITHIN,
  )

  fleet.fill()
  await until(async () => (await whole.count()) === 16, WITHIN)
  assert.match(await textOf(page, '.figure:nth-child(2)'), /Copies 16 of 16/)
  assert.match(await textOf(page, '.alarms'), /No alarms$/)
  assert.match(await textOf(page, '.row.is-model .cell-name'), /4 of 4 shards, weakest has 4 seeds/)
  assert.match(await page.title(), /16 of 16 copies/)
})

test('a killed host shows as lost, then is gone', { skip }, async (t) => {
  const fleet = fourByFour()
  fleet.fill()
  const { page } = await openPage(t, fleet)
  fleet.lose('shard-2')
  await page.getByRole('columnheader', { name: /host shard-2: lost/ }).waitFor()
  assert.equal(await page.locator('.row.is-shard .cell.is-lost').count(), 4)
  const ground = (row: string) =>
    page
      .locator(`${row} .is-lost .mark`)
      .first()
      .evaluate((mark) => getComputedStyle(mark).backgroundImage)
  for (const row of ['.is-model', '.is-shard'])
    assert.match(await ground(row), /gradient/, `${row} is hatched`)
  assert.match(await textOf(page, '.alarms'), /host lost/)
  assert.match(await textOf(page, '.figure:nth-child(1)'), /3 online 1 lost/)
  await page
    .getByRole('gridcell', { name: /^shard-2, .*: host lost, last seen with whole copy$/ })
    .first()
    .waitFor()
  await until(
    async () => /Alarm: host shard-2/.test((await page.locator('#announcer').textContent()) ?? ''),
    WITHIN,
  )

  fleet.forget('shard-2')
  await until(async () => (await page.locator('.cell-host').count()) === 3, WITHIN)
  assert.equal(await page.getByText('shard-2', { exact: true }).count(), 0)
  await until(async () => /No alarms$/.test(await textOf(page, '.alarms')), WITHIN)
})

test('rows are found, ordered and folded', { skip }, async (t) => {
  const fleet = new GeneratedFleet({
    hostNames: ['a', 'b'],
    models: [
      { name: 'alpha', count: 2 },
      { name: 'beta', count: 3, missing: [2] },
      { name: 'gamma', count: 1 },
    ],
  })
  const { page } = await openPage(t, fleet)
  const rows = page.locator('.row:not(.head)')
  assert.equal(await rows.count(), 8)
  await page.getByRole('searchbox').fill('00003-of')
  await until(async () => (await rows.count()) === 2, WITHIN)
  assert.match(await textOf(page, '.count'), /2 rows found/)
  await page.getByRole('searchbox').fill('nothing like it')
  await page.getByText('No model and no shard goes by that name.').waitFor()
  await page.getByRole('searchbox').fill('')
  await page.getByRole('combobox', { name: 'Order of models' }).selectOption('seeds')
  await until(async () => (await rows.first().innerText()).includes('beta'), WITHIN)
  await page.getByRole('button', { name: 'fold all' }).click()
  await until(async () => (await rows.count()) === 3, WITHIN)
  await page.getByRole('rowheader', { name: /beta/ }).click()
  await until(async () => (await rows.count()) === 6, WITHIN)
  assert.equal(await page.getByRole('rowheader', { name: /: beta/ }).getAttribute('aria-expanded'), 'true')
})

test('an empty fleet says what to do', { skip }, async (t) => {
  const fleet = new GeneratedFleet({ hostNames: [], models: [] })
  const { page } = await openPage(t, fleet)
  await page.getByText('No host yet. Start one with: gguf-swarm seed DIR').waitFor()
  fleet.join('first')
  await page.getByRole('columnheader', { name: /host first/ }).waitFor()
})
