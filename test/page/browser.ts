/** Debian's Chromium, driven by playwright-core, on a page whose every request and complaint is kept. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { WEB_LIMITS } from '../../src/web/limits.ts'
import { WebServer, type WebServerOptions } from '../../src/web/server.ts'
import type { StatusSource } from '../../src/web/status-source.ts'
import { afterTest, hasFailed } from '../helpers/after-test.ts'
import { skipUnless } from '../helpers/requirements.ts'

const CHROMIUM = '/usr/bin/chromium'
/** Root cannot have Chromium's sandbox; containers have little /dev/shm. */
const FLAGS = ['--no-sandbox', '--disable-dev-shm-usage', '--font-render-hinting=none']

/** The `skip` option of a test in a browser (see {@link skipUnless}). */
export function skipWithoutBrowser(): string | false {
  return skipUnless({ name: CHROMIUM, isThere: () => existsSync(CHROMIUM) })
}

/** A server of the page on free ports, or on a given one. */
export async function servePage(
  source: StatusSource,
  port = 0,
  options: Partial<WebServerOptions> = {},
): Promise<WebServer> {
  return WebServer.start({
    source,
    host: '127.0.0.1',
    port,
    livePort: 0,
    allowHosts: [],
    limits: WEB_LIMITS,
    log: { info() {}, warn() {} },
    ...options,
  })
}

async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
}

export interface OpenedPage {
  readonly page: Page
  readonly context: BrowserContext
  /** Errors, warnings of the console and violations of the content policy so far. */
  readonly complaints: string[]
  /** Every address asked for, WebSockets too. */
  readonly requests: string[]
}

export interface PageOptions {
  readonly width?: number
  readonly height?: number
  readonly colorScheme?: 'light' | 'dark'
  readonly permissions?: readonly string[]
  readonly isTouch?: boolean
  /** What the server asks for; the page is opened by the link that has it. */
  readonly token?: string
  /** Runs in the page before anything of it. */
  readonly before?: () => void
  /** The test says itself what may be complained about. */
  readonly mayComplain?: boolean
}

/** Opens the page of a fleet in a fresh browser and waits for its first picture; all of it ends with the test. */
export async function openPage(
  t: TestContext,
  source: StatusSource,
  options: PageOptions = {},
): Promise<OpenedPage & { readonly server: WebServer }> {
  const { token } = options
  const server = await servePage(source, 0, token === undefined ? {} : { token })
  afterTest(t, () => server.stop())
  const url = token === undefined ? server.url : `${server.url}/?token=${token}`
  return { ...(await openPageAt(t, url, options)), server }
}

/** The same for a page that somebody else serves. */
export async function openPageAt(
  t: TestContext,
  url: string,
  options: PageOptions = {},
): Promise<OpenedPage> {
  const { width = 1440, height = 900, colorScheme = 'light', permissions = [], isTouch = false } = options
  const browser = await launchBrowser()
  afterTest(t, () => browser.close())
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    permissions: [...permissions],
    hasTouch: isTouch,
  })
  const page = await context.newPage()
  const complaints: string[] = []
  const requests: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('request', (request) => requests.push(request.url()))
  page.on('websocket', (socket) => requests.push(socket.url()))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      console.error(`content policy: ${violatedDirective} ${blockedURI}`)
    })
  })
  if (options.before !== undefined) await page.addInitScript(options.before)
  const own = new RegExp(`^(?:http|ws)://127\\.0\\.0\\.1:${new URL(url).port}/`)
  // Before the browser is closed; a test that failed has said more already.
  afterTest(t, () => {
    if (hasFailed(t)) return
    if (options.mayComplain !== true) assert.deepEqual(complaints, [], 'the console stays empty')
    assert.deepEqual(
      requests.filter((address) => !own.test(address)),
      [],
      'nothing is asked of anybody else',
    )
  })
  await page.goto(url)
  await page.waitForSelector('.figures')
  return { page, context, complaints, requests }
}

/** A locator's text, in one line. */
export const textOf = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).innerText()).replaceAll(/\s+/g, ' ').trim()
