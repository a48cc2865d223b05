/**
 * 200 hosts × 1,000 shards: what is in the page stays as little as what is in sight. Times are reported, not asserted:
 * they are those of the machine.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../helpers/until.ts'
import { openPage, skipWithoutBrowser } from './browser.ts'
import { GeneratedFleet, namesFrom } from './fleet-generator.ts'

const skip = skipWithoutBrowser()
/** A screen of 1440 × 900 has room for about 24 rows of 15 cells. */
const MAX_ELEMENTS = 4_000

interface Measured {
  readonly name: string
  /** Since the page was asked for. */
  readonly startTime: number
  readonly duration: number
}

test('200 hosts and 1,000 shards', { skip }, async (t) => {
  const fleet = new GeneratedFleet({
    hostNames: namesFrom('host', 200),
    models: namesFrom('model', 250).map((name) => ({ name, count: 4 })),
    copies: 60,
    parallel: 2,
  })
  const startedAt = performance.now()
  const { page } = await openPage(t, fleet, {
    before: () => {
      const measured: Measured[] = []
      Object.assign(globalThis, { measured })
      new PerformanceObserver((list) => {
        for (const { name, startTime, duration } of list.getEntries())
          measured.push({ name, startTime, duration })
      }).observe({ type: 'measure' })
    },
  })
  t.diagnostic(`page opened within ${Math.round(performance.now() - startedAt)} ms, browser and all`)
  const elements = () => page.evaluate(() => document.querySelectorAll('*').length)
  const counts = [await elements()]
  assert.match(await page.locator('.figures').innerText(), /60,000/)

  const scroll = (top: number, left: number) =>
    page.evaluate(([y, x]) => document.querySelector('.matrix')?.scrollTo(x ?? 0, y ?? 0), [top, left])
  for (let step = 0; step < 12; step++) {
    fleet.step(1_000)
    await scroll(step * 3_000, step * 700)
    await until(
      async () =>
        (await page.evaluate(() => document.title)) !== '' && (await page.locator('.cell').count()) > 0,
      { timeoutMs: 30_000 },
    )
    counts.push(await elements())
  }
  await scroll(1e6, 1e6)
  await page.getByRole('columnheader', { name: /host host-199/ }).waitFor()
  await page.getByRole('rowheader', { name: /model-249-00004/ }).waitFor()
  counts.push(await elements())
  const most = Math.max(...counts)
  t.diagnostic(`elements in the page: at most ${most}`)
  assert.ok(most < MAX_ELEMENTS, `${most} elements`)

  const last = page.locator('[role=grid] [tabindex="0"]')
  await last.focus()
  await page.keyboard.press('Control+End')
  await until(
    async () => (await page.evaluate(() => document.activeElement?.getAttribute('aria-colindex'))) === '203',
    {
      timeoutMs: 30_000,
    },
  )

  const measured = await page.evaluate(() => (globalThis as unknown as { measured: Measured[] }).measured)
  const snapshotAt = measured.find(({ name }) => name === 'gguf-swarm:snapshot')?.startTime ?? 0
  const first = measured.find(({ name, startTime }) => name === 'gguf-swarm:draw' && startTime > snapshotAt)
  assert.ok(first)
  t.diagnostic(
    `whole picture ${Math.round(first.startTime + first.duration)} ms after the page was asked for`,
  )
  for (const name of ['snapshot', 'patch', 'tick', 'draw']) {
    const times = measured
      .filter((entry) => entry.name === `gguf-swarm:${name}`)
      .map(({ duration }) => duration)
      .sort((a, b) => a - b)
    if (times.length === 0) continue
    const at = (share: number): string => (times[Math.floor((times.length - 1) * share)] ?? 0).toFixed(1)
    t.diagnostic(
      `${name}: ${times.length} times, median ${at(0.5)} ms, 95 % ${at(0.95)} ms, worst ${at(1)} ms`,
    )
  }
})
