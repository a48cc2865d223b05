/** Details, by mouse and by keyboard: what is copied, where the focus goes and comes back to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { until } from '../helpers/until.ts'
import { openPage, skipWithoutBrowser, textOf } from './browser.ts'
import { GeneratedFleet, namesFrom } from './fleet-generator.ts'

const skip = skipWithoutBrowser()
const WITHIN = { timeoutMs: 10_000 }
const CLIPBOARD = ['clipboard-read', 'clipboard-write']

const aFleet = (): GeneratedFleet =>
  new GeneratedFleet({
    hostNames: namesFrom('host', 3),
    models: [
      { name: 'one', count: 2 },
      { name: 'two', count: 1 },
    ],
  })

const focused = (page: Page): Promise<string> =>
  page.evaluate(
    () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
  )

test('a shard: hashes, seeds by evidence, QR, and the right magnet in the clipboard', { skip }, async (t) => {
  const fleet = aFleet()
  const { page } = await openPage(t, fleet, { permissions: CLIPBOARD })
  const [shard] = fleet.status.shards
  assert.ok(shard)
  await page.getByRole('rowheader', { name: /one-00001/ }).click()
  const panel = page.getByRole('dialog', { name: shard.name })
  await panel.waitFor()
  const text = (await panel.innerText()).replaceAll(/\s+/g, '')
  for (const expected of [shard.infoHash, shard.sha256, '1seedamong1peer', 'about2peers', 'anestimate:']) {
    assert.ok(text.includes(expected), `${expected} is in the details`)
  }
  const isDrawn = () => page.locator('.qr').evaluate((image) => (image as HTMLImageElement).naturalWidth > 0)
  await until(isDrawn, { ...WITHIN, what: 'the QR code' })

  await panel.getByRole('button', { name: 'Copy magnet link' }).click()
  await until(async () => (await page.locator('#announcer').textContent()) === 'magnet link copied', WITHIN)
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), shard.magnet)
  await panel.getByRole('button', { name: 'Copy get command' }).click()
  await until(
    async () =>
      (await page.evaluate(() => navigator.clipboard.readText())) === `gguf-swarm get ${shard.infoHash}`,
    WITHIN,
  )
  // Another one in the same panel.
  await page.getByRole('rowheader', { name: /two\.gguf/ }).click()
  await page.getByRole('dialog', { name: 'two.gguf' }).waitFor()
})

test('copying works without the clipboard API too, as over plain HTTP', { skip }, async (t) => {
  const fleet = aFleet()
  const { page } = await openPage(t, fleet, {
    permissions: CLIPBOARD,
    before: () => {
      navigator.clipboard.writeText = () => Promise.reject(new Error('not here'))
    },
  })
  await page.getByRole('rowheader', { name: /two\.gguf/ }).click()
  await page.getByRole('button', { name: 'Copy magnet link' }).click()
  const magnet = fleet.status.shards.find(({ name }) => name === 'two.gguf')?.magnet
  await until(async () => (await page.evaluate(() => navigator.clipboard.readText())) === magnet, WITHIN)
})

test('a host: address, rates, disk and shards; and it may go while one looks', { skip }, async (t) => {
  const fleet = aFleet()
  const { page } = await openPage(t, fleet)
  await page.getByRole('columnheader', { name: /host host-1/ }).click()
  const panel = page.getByRole('dialog', { name: 'host-1' })
  await panel.waitFor()
  const text = await panel.innerText()
  for (const expected of ['10.0.0.3:6881', '0.1.0', 'online', 'Free disk'])
    assert.ok(text.includes(expected), expected)
  assert.ok(text.includes('one-00002-of-00002.gguf'))
  fleet.forget('host-1')
  await page.getByText('This host is gone').waitFor()
})

test('all of it by keyboard', { skip }, async (t) => {
  const fleet = aFleet()
  const { page } = await openPage(t, fleet)
  await page.keyboard.press('Tab')
  assert.equal(await focused(page), 'Skip to the fleet')
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'main')
  await page.locator('.filter').focus()
  for (
    let tabs = 0;
    tabs < 5 && !/model|one/.test(await page.evaluate(() => document.activeElement?.className ?? ''));
    tabs++
  ) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(() => document.activeElement?.closest('[role=grid]') !== null)) break
  }
  const at = () =>
    page.evaluate(() => {
      const cell = document.activeElement
      return [
        cell?.closest('[role=row]')?.getAttribute('aria-rowindex'),
        cell?.getAttribute('aria-colindex'),
      ].join(' ')
    })
  assert.equal(await at(), '2 1', 'one tab stop: the first row')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await until(async () => (await at()) === '3 3', { ...WITHIN, what: 'second row, second host' })
  assert.equal(await focused(page), 'host-1, one-00001-of-00002.gguf: none')
  assert.equal(await page.locator('[role=grid] [tabindex="0"]').count(), 1, 'one cell is in the tab order')

  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await until(async () => (await focused(page)) === 'one-00001-of-00002.gguf', WITHIN)
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  assert.equal(await at(), '3 3', 'the focus is back where it was')

  await page.keyboard.press('Control+Home')
  await until(async () => (await at()) === '2 1', WITHIN)
  await page.keyboard.press('Enter')
  await until(async () => (await page.locator('.row:not(.head)').count()) === 2, {
    ...WITHIN,
    what: 'folded',
  })
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ArrowRight')
  await until(async () => (await at()) === '1 2', WITHIN)
  await page.keyboard.press('Enter')
  await page.getByRole('dialog', { name: 'host-0' }).waitFor()
})

test('the focused cell stays while rows come, move and go', { skip }, async (t) => {
  const fleet = aFleet()
  const { page } = await openPage(t, fleet)
  await page
    .getByRole('gridcell', { name: 'host-0, two.gguf: whole copy' })
    .or(page.getByRole('gridcell', { name: 'host-0, two.gguf: none' }))
    .focus()
  const before = await focused(page)
  fleet.join('aaa')
  fleet.addModel({ name: 'a-first-one', count: 2 })
  await page
    .getByRole('rowheader', { name: /a-first-one/ })
    .first()
    .waitFor()
  assert.equal(await focused(page), before)
})

test('on a phone the details cover the page, and the page behind is out of reach', { skip }, async (t) => {
  const { page } = await openPage(t, aFleet(), { width: 360, height: 700, isTouch: true })
  await page.getByRole('rowheader', { name: /two\.gguf/ }).tap()
  const panel = page.getByRole('dialog')
  await panel.waitFor()
  const box = await panel.boundingBox()
  assert.deepEqual([box?.x, box?.width], [0, 360])
  assert.equal(await page.locator('dialog:modal').count(), 1)
  await page.getByRole('button', { name: 'Close details' }).tap()
  await panel.waitFor({ state: 'hidden' })
  assert.match(await textOf(page, '.masthead'), /live/)
})
