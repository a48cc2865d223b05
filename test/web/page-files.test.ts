/** The page's files over real connections: whatever one of them names is there too, and nothing is inline. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from './clients.ts'
import { MadeSource, madeFleet, startWeb } from './fleet-kit.ts'

const TYPES: Readonly<Record<string, RegExp>> = {
  html: /^text\/html; charset=utf-8$/,
  js: /^text\/javascript; charset=utf-8$/,
  css: /^text\/css; charset=utf-8$/,
  svg: /^image\/svg\+xml; charset=utf-8$/,
}

/** Paths that a file loads, comments left out: types are named there. */
function namedIn(path: string, source: string): readonly string[] {
  const text = source.replace(/\/\*[\s\S]*?\*\/|<!--[\s\S]*?-->/g, '')
  const isVendor = path.startsWith('/vendor/')
  const found = [
    ...(path.endsWith('.html') ? text.matchAll(/\s(?:src|href)="([^"#]+)"/g) : []),
    ...(path.endsWith('.js') && !isVendor
      ? text.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*['"]([./][^'"]*)['"]/gm)
      : []),
    ...(path.endsWith('.css') ? text.matchAll(/url\(['"]?([^)'"]+)['"]?\)|@import\s+['"]([^'"]+)/g) : []),
  ].map(([, first, second]) => first ?? second ?? '')
  return found
    .filter((name) => !name.startsWith('data:'))
    .map((name) => new URL(name, `http://page${path}`).href)
}

test('the page and all that it loads are served, from this server alone', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  const waiting = [
    'http://page/page/index.html',
    'http://page/vendor/preact.js',
    'http://page/vendor/uplot.css',
  ]
  const seen = new Set<string>()
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next)) continue
    seen.add(next)
    assert.ok(next.startsWith('http://page/'), `${next} is off this machine`)
    const path = new URL(next).pathname
    const { status, headers, body } = await ask(path, server)
    assert.equal(status, 200, path)
    assert.match(headers['content-type'] ?? '', TYPES[path.split('.').at(-1)!]!, path)
    waiting.push(...namedIn(path, body))
  }
  assert.ok(seen.size > 10, [...seen].join('\n'))
  const { body } = await ask('/', server)
  assert.equal(body, (await ask('/page/index.html', server)).body)
  assert.doesNotMatch(
    body,
    /<script(?![^>]*\ssrc=)[^>]*>|\son\w+=|\sstyle=|<style/i,
    'the policy forbids inline code',
  )
})

test('files are asked about each time, and not sent again', async (t) => {
  const { server } = await startWeb(t, new MadeSource(madeFleet(1, 1)))
  for (const path of ['/', '/vendor/preact.js']) {
    const { headers } = await ask(path, server)
    assert.equal(headers['cache-control'], 'no-cache')
    const again = await ask(path, { port: server.port, headers: { 'If-None-Match': headers.etag ?? '' } })
    assert.deepEqual([again.status, again.body], [304, ''])
    const other = await ask(path, { port: server.port, headers: { 'If-None-Match': '"other"' } })
    assert.equal(other.status, 200)
  }
})
