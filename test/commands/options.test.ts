/** What may stand behind an option, and what is said of the rest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dhtChoice } from '../../src/commands/options.ts'
import {
  DEFAULTS,
  parseAddressOption,
  parseMirrorOption,
  parsePortOption,
  parseRateOption,
  parseSizeOption,
} from '../../src/config.ts'
import { UsageError } from '../../src/errors.ts'

const usage = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof UsageError && error.code === code && error.exitCode === 2 && message.test(error.message)

test('addresses', () => {
  assert.deepEqual(parseAddressOption(' 10.0.0.1:51820 ', '--peer'), { host: '10.0.0.1', port: 51820 })
  assert.deepEqual(parseAddressOption('models.example:1', '--peer'), { host: 'models.example', port: 1 })
  assert.deepEqual(parseAddressOption('[::1]:6881', '--peer'), { host: '::1', port: 6881 })
  for (const text of [
    '',
    '10.0.0.1',
    ':6881',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '10.0.0:1',
    '::1:6881',
    'a b:1',
    'x:1:2',
  ]) {
    assert.throws(() => parseAddressOption(text, '--peer'), usage('bad-address', /^--peer: /), text)
  }
})

test('ports', () => {
  assert.deepEqual(
    [0, 1, 65_534].map((port) => parsePortOption(port, '--port')),
    [0, 1, 65_534],
  )
  for (const port of [-1, 1.5, 65_535, 65_536, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => parsePortOption(port, '--port'), usage('bad-port', /^--port: /), String(port))
  }
})

test('rates', () => {
  const rates = {
    '1000': 1_000,
    '500K': 512_000,
    '10m': 10_485_760,
    '1.5G': 1_610_612_736,
    '2MiB/s': 2_097_152,
    ' 1kb ': 1_024,
  }
  for (const [text, rate] of Object.entries(rates))
    assert.equal(parseRateOption(text, '--upload-limit'), rate, text)
  for (const text of ['', '0', '-1', 'fast', '10X', '1e9', '10 M', '0.1', 'K', '1..5M']) {
    assert.throws(() => parseRateOption(text, '--upload-limit'), usage('bad-rate', /^--upload-limit: /), text)
  }
})

test('sizes', () => {
  for (const [text, size] of Object.entries({ '0': 0, '500K': 512_000, '1.5T': 1_649_267_441_664 }))
    assert.equal(parseSizeOption(text, '--max-bytes'), size, text)
  for (const text of ['', '-1', 'much', '5M/s', '9'.repeat(30)])
    assert.throws(() => parseSizeOption(text, '--max-bytes'), usage('bad-size', /^--max-bytes: /), text)
})

test('a mirror is a folder or a .gguf file: another one would never be named for a shard', () => {
  const hub = 'https://huggingface.co/org/name'
  for (const url of [
    `${hub}/resolve/main/`,
    `${hub}/resolve/main/x.gguf?download=true`,
    'http://10.0.0.1/X.GGUF',
  ])
    assert.equal(parseMirrorOption(url, '--web-seed'), url)
  for (const url of [
    'https://models.example/gguf',
    `${hub}/resolve/main`,
    'https://models.example/f/?token=x',
  ])
    assert.throws(() => parseMirrorOption(url, '--web-seed'), usage('bad-url', /ends in \//), url)
  for (const [page, file] of [
    ['/blob/main/x.gguf', '/resolve/main/x.gguf'],
    ['/tree/main/', '/resolve/main/'],
  ] as const) {
    const says = usage('bad-url', new RegExp(`the files are at ${hub}${file}$`))
    assert.throws(() => parseMirrorOption(hub + page, '--web-seed'), says, page)
  }
  assert.throws(() => parseMirrorOption('ftp://a/b.gguf', '--web-seed'), usage('bad-url', /no address/))
})

test('which DHT: the named bootstraps, the local default, or the public one; never two', () => {
  const named = [
    { host: '10.0.0.1', port: 1 },
    { host: 'b', port: 2 },
  ]
  assert.deepEqual(dhtChoice(['10.0.0.1:1', 'b:2'], false), { kind: 'private', bootstrap: named })
  assert.deepEqual(dhtChoice(undefined, false), { kind: 'private', bootstrap: [DEFAULTS.bootstrap] })
  assert.deepEqual(dhtChoice(undefined, true), { kind: 'public' })
  assert.throws(() => dhtChoice(['10.0.0.1:1'], true), usage('both-dhts', /--bootstrap/))
  assert.throws(() => dhtChoice(['nonsense'], false), usage('bad-address', /nonsense/))
})
