/** How it looks to everybody: themes, widths, names that mean harm, and what axe finds. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import { until } from '../helpers/until.ts'
import { openPage, skipWithoutBrowser } from './browser.ts'
import { GeneratedFleet, namesFrom } from './fleet-generator.ts'

const skip = skipWithoutBrowser()
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const WITHIN = { timeoutMs: 10_000 }

function busyFleet(): GeneratedFleet {
  const fleet = new GeneratedFleet({
    hostNames: namesFrom('host', 5),
    models: [
      { name: 'Llama-3.3-70B-Instruct-Q4_K_M', count: 4, sizeLabel: '70B' },
      { name: 'lacking', count: 3, missing: [2] },
      { name: 'single', count: 1 },
    ],
    bytesPerSecond: 80e6,
  })
  fleet.step(2_000)
  fleet.lose('host-4')
  return fleet
}

/** What axe-core complains about: every rule of WCAG 2.2 A and AA, and its best practices. */
async function complaintsOfAxe(page: Page): Promise<readonly string[]> {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.addScriptTag({ path: AXE })
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  )
  return violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join('\n')}`,
  )
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing, ${colorScheme}`, { skip }, async (t) => {
    // Axe is put into the page from outside, which its content policy rightly forbids.
    const { page, context } = await openPage(t, busyFleet(), { colorScheme, mayComplain: true })
    const client = await context.newCDPSession(page)
    await client.send('Page.setBypassCSP', { enabled: true })
    await page.reload()
    await page.waitForSelector('.figures')
    assert.deepEqual(await complaintsOfAxe(page), [])
    await page.getByRole('rowheader', { name: /single\.gguf/ }).click()
    await page.getByRole('dialog').waitFor()
    assert.deepEqual(await complaintsOfAxe(page), [], 'with details')
  })
}

test('the tree that screen readers get', { skip }, async (t) => {
  const fleet = new GeneratedFleet({ hostNames: ['a', 'b'], models: [{ name: 'm', count: 2 }] })
  const { page } = await openPage(t, fleet)
  const tree = await page.locator('[role=grid]').ariaSnapshot()
  for (const expected of [
    'grid "Models and hosts"',
    'columnheader "host a: online, 1 shard. Enter shows details"',
    /rowheader "whole: m.*2 of 2 shards, weakest has 1 seed.*" \[expanded\]/,
    'gridcell "a, model m: 1 of 2 shards"',
    'gridcell "b, m-00001-of-00002.gguf: none"',
    'gridcell "a, m-00001-of-00002.gguf: whole copy"',
    'gridcell "1 seed"',
  ]) {
    assert.ok(
      typeof expected === 'string' ? tree.includes(expected) : expected.test(tree),
      `${expected} in\n${tree}`,
    )
  }
  const grid = page.getByRole('grid')
  assert.equal(await grid.getAttribute('aria-rowcount'), '4')
  assert.equal(await grid.getAttribute('aria-colcount'), '5')
  for (const landmark of ['banner', 'main'] as const) assert.equal(await page.getByRole(landmark).count(), 1)
})

test('dark and light by the system, and by choice, remembered', { skip }, async (t) => {
  const { page } = await openPage(t, busyFleet(), { colorScheme: 'dark' })
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const dark = await ground()
  await page.emulateMedia({ colorScheme: 'light' })
  const light = await ground()
  assert.notEqual(dark, light)
  const toggle = page.getByRole('button', { name: /^Theme/ })
  await toggle.click() // light
  await toggle.click() // dark
  assert.equal(await ground(), dark)
  await page.reload()
  await page.waitForSelector('.figures')
  assert.equal(await ground(), dark, 'remembered')
  await page.getByRole('button', { name: /^Theme/ }).click()
  assert.equal(await ground(), light, 'as the system again')
})

for (const width of [360, 600, 820, 1199, 1440, 2560]) {
  test(`nothing sticks out at ${width} pixels`, { skip }, async (t) => {
    const { page } = await openPage(t, busyFleet(), { width, height: 800 })
    const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    assert.ok((await overflow()) <= 0)
    const chart = await page.locator('.plot canvas').boundingBox()
    const plot = await page.locator('.plot').boundingBox()
    assert.ok(chart && plot && chart.width <= plot.width + 1, 'the chart has room')
  })
}

/**
 * Waits until a frame was drawn. The matrix learns its new width in the first one after the window's changed, before
 * anything of it is seen; who measures earlier finds new edges around old columns.
 */
const drawn = (page: Page): Promise<void> =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done()))))

const HOSTILE = [
  '<img src=x onerror="window.wasHarmed=1"><script>window.wasHarmed=1</script>',
  '\u202Egnp.exe\u202D \u2066\u2067\u202B \u200Fשלום עולם',
  `Z\u0341${'\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307'.repeat(15)}algo`,
  'W'.repeat(255),
  '{{7*7}} $' + '{7*7} &lt;b&gt; \'"`=javascript:alert(1)',
  '\u00AD\u200B\u200D\uFEFF',
]

test('names that mean harm are text, and stay in their place', { skip }, async (t) => {
  const fleet = new GeneratedFleet({
    hostNames: HOSTILE,
    name: HOSTILE[0] ?? '',
    models: HOSTILE.flatMap((name) => [
      { name: `s ${name}`, count: 1, architecture: name, sizeLabel: name },
      { name, count: 2, architecture: name, sizeLabel: name },
    ]),
  })
  for (const name of HOSTILE) fleet.say('copy-started', name)
  const { page } = await openPage(t, fleet)
  const check = async (): Promise<void> => {
    assert.equal(await page.evaluate(() => 'wasHarmed' in globalThis), false)
    assert.equal(await page.locator('img[src="x"], #page script').count(), 0)
    assert.ok(
      (await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0,
      'no overflow',
    )
    const misplaced = await page.evaluate(() =>
      [...document.querySelectorAll('.row:not(.head)')].flatMap((row) => {
        const [name, seeds, size] = ['.cell-name', '.cell-seeds', '.cell-size'].map((part) =>
          row.querySelector(part)?.getBoundingClientRect(),
        )
        const inner = row.querySelector('bdi')?.getBoundingClientRect()
        const isRight =
          name &&
          seeds &&
          size &&
          inner &&
          name.right <= seeds.left &&
          seeds.right <= size.left + 1 &&
          inner.right <= name.right &&
          inner.left >= name.left
        return isRight ? [] : [row.textContent]
      }),
    )
    assert.deepEqual(misplaced, [])
  }
  await check()
  for (const [index] of HOSTILE.entries()) {
    await page.locator('.row.is-shard .cell-name').nth(index).click()
    await page.getByRole('dialog').waitFor()
    await check()
  }
  await page.locator('.cell-host').first().click()
  await until(async () => (await page.locator('.panel-kind').innerText()) === 'host', WITHIN)
  await check()
  await page.setViewportSize({ width: 360, height: 700 })
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => innerWidth === 360)
  await drawn(page)
  await check()
})

test('the event log stands still while it is read', { skip }, async (t) => {
  const fleet = busyFleet()
  const { page } = await openPage(t, fleet)
  const first = () => page.locator('.event').first().innerText()
  fleet.say('copy-started', 'before')
  await until(async () => (await first()).includes('before'), WITHIN)
  await page.locator('.event-list').hover()
  fleet.say('copy-started', 'while reading')
  await page.getByRole('button', { name: 'paused, 1 new one' }).waitFor()
  assert.ok((await first()).includes('before'))
  await page.mouse.move(5, 5)
  await until(async () => (await first()).includes('while reading'), WITHIN)
  fleet.say('alarm', 'something is wrong')
  await page.getByRole('combobox', { name: 'Which events' }).selectOption('alarms')
  await until(async () => (await page.locator('.event').count()) === 1, WITHIN)
})
