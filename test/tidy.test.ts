/**
 * The style of the code, held: which way imports go, where each package is met, how long things are, what is
 * not there. A rule that is worth breaking somewhere is changed here, with its reason.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MAX_FILE_LINES = 300
const MAX_FUNCTION_LINES = 70
const MAX_COLUMNS = 130

/** Which folders (or single files) of src each may import from, besides itself. */
const BASE = ['errors.ts', 'log.ts', 'open-flags.ts']
const PURE = ['gguf', 'metainfo', ...BASE]
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'open-flags.ts': [],
  'log.ts': [],
  'config.ts': ['metainfo', ...BASE],
  gguf: BASE,
  metainfo: BASE,
  library: PURE,
  swarm: PURE,
  fleet: ['library', 'swarm', 'config.ts', ...PURE],
  web: ['fleet', 'config.ts', ...PURE],
  // Reads the builders of commands as data; what is done with them is the commands' own.
  manual: ['config.ts', ...BASE],
  commands: ['manual', 'web', 'fleet', 'library', 'swarm', 'config.ts', ...PURE],
  'cli.ts': ['commands', 'manual', 'config.ts', ...BASE],
  // The library's functions, beside the commands: defaults and signals around what fleet has.
  api: ['fleet', 'library', 'swarm', 'config.ts', ...PURE],
  'index.ts': ['api', 'fleet', 'config.ts', ...PURE],
}

/** Where the values of each package are met; its types may be named anywhere in that folder. */
const MET_IN: Readonly<Record<string, readonly string[]>> = {
  // engine-patches changes its inside, client uses it.
  webtorrent: ['src/swarm/client.ts', 'src/swarm/wire/engine-patches.ts'],
  'bittorrent-dht': ['src/swarm/dht/dht.ts'],
  'bittorrent-protocol': ['src/swarm/wire/wire-guard.ts'],
  'create-torrent': ['src/metainfo/create.ts'],
  'parse-torrent': ['src/metainfo/parse.ts'],
  chokidar: ['src/library/watcher.ts'],
  yargs: ['src/cli.ts'],
  'smol-toml': ['src/manual/config-file.ts'],
  uqr: ['src/metainfo/qr.ts'],
  ws: ['src/web/live-feed.ts'],
  // Found on disk by the server and handed to the page; nothing on this side runs them.
  preact: ['src/web/page-files.ts', 'src/web/page/preact.js'],
  uplot: ['src/web/page-files.ts', 'src/web/page/uplot.js'],
  'string-width': ['src/commands/progress.ts'],
  // Our own bytes and checked ones only: the decoder does not survive others (see metainfo/bencode-scan).
  bencode: [
    'src/metainfo/create.ts',
    'src/metainfo/metainfo.ts',
    'src/swarm/catalogue/catalogue-codec.ts',
    'src/swarm/dht/udp-guard.ts',
  ],
}

/**
 * Where the time of day is asked for: to be told to people, or to be held against the times of files. It jumps when
 * somebody sets the clock, so everything that waits, expires or measures goes by `performance.now()`.
 */
const TIME_OF_DAY = [
  'src/commands/status.ts',
  'src/fleet/coordinator.ts',
  'src/fleet/doctor/machine.ts',
  'src/fleet/membership/host-member.ts',
  'src/fleet/names/name-search.ts',
  'src/fleet/membership/roster.ts',
  'src/library/atomic-file.ts',
  'src/library/rechecker.ts',
  'src/library/settling.ts',
  'src/web/metrics.ts',
]

interface Import {
  readonly from: string
  readonly isType: boolean
}

interface Source {
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
}

const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' })
  .split('\0')
  .filter(Boolean)
const isSource = (path: string): boolean => /\.(ts|js|mjs)$/.test(path)

function read(path: string): Source | null {
  try {
    const text = readFileSync(join(ROOT, path), 'utf8')
    return { path, text, lines: text.split('\n') }
  } catch {
    return null // removed, and not committed yet
  }
}

const present = (paths: readonly string[]): Source[] => paths.map(read).filter((source) => source !== null)
const src = present(tracked.filter((path) => path.startsWith('src/') && isSource(path)))
const code = present(tracked.filter(isSource))

/** The code with the contents of comments, and optionally strings, blanked; line breaks stay. */
function stripped({ text }: Source, { strings = false } = {}): string {
  const blank = (found: string): string => found.replace(/[^\n]/g, ' ')
  // Strings are matched too, so that a `//` inside them is not taken for a comment.
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g
  return text.replace(token, (found) => (strings || found.startsWith('/') ? blank(found) : found))
}

function importsOf(source: Source): Import[] {
  const statements = stripped(source).matchAll(
    /^(?:import|export)\s+(type\s)?([^'"]*?from\s+)?'([^']+)'|\bimport(?:\.meta\.resolve)?\(\s*'([^']+)'\s*\)/gm,
  )
  return [...statements].map(([, type, names, from, dynamic]) => ({
    // The page asks the server for a package by an address.
    from: (from ?? dynamic ?? '').replace(/^\/vendor\/(\w+)\.js$/, '$1'),
    isType: type !== undefined || onlyTypes(names ?? ''),
  }))
}

/** True for `{ type A, type B } from`: erased, like `import type`. */
function onlyTypes(names: string): boolean {
  const [, inner] = /^\{([^}]*)\}\s+from\s+$/.exec(names) ?? []
  const parts = (inner ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
  return parts.length > 0 && parts.every((part) => part.startsWith('type '))
}

const packageOf = (from: string): string =>
  from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/')
const isPackage = (from: string): boolean =>
  !from.startsWith('.') && !from.startsWith('node:') && !builtinModules.includes(from)

/** The folder of src a file is in, or its own name at the top. */
const layerOf = (path: string): string => relative('src', path).split('/')[0] ?? ''

function assertNone(problems: readonly string[]): void {
  assert.deepEqual(problems, [], `\n${problems.join('\n')}\n`)
}

test('imports go one way', () => {
  const problems = src.flatMap((source) =>
    importsOf(source)
      .filter(({ from }) => from.startsWith('.'))
      .map(({ from }) => layerOf(join(dirname(source.path), from)))
      .filter((layer) => layer !== layerOf(source.path) && !MAY_IMPORT[layerOf(source.path)]?.includes(layer))
      .map((layer) => `${source.path} imports from ${layer}`),
  )
  assertNone(problems)
})

test('each package is met in the files named for it', () => {
  const problems = src.flatMap((source) =>
    importsOf(source)
      .filter(({ from, isType }) => isPackage(from) && !isType)
      .filter(({ from }) => !MET_IN[packageOf(from)]?.includes(source.path))
      .map(({ from }) => `${source.path} imports ${from}`),
  )
  assertNone(problems)
})

test('every dependency is pinned exactly, and imported', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >
  const problems: string[] = []
  for (const kind of ['devDependencies', 'overrides']) {
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      if (!/^\d+\.\d+\.\d+$/.test(version)) problems.push(`${kind}: ${name} is not pinned (${version})`)
    }
  }
  // What is published is a bundle that needs nothing else: packaging/bundle.ts.
  for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies']) {
    for (const name of Object.keys(manifest[kind] ?? {})) {
      problems.push(`${kind}: ${name}; put it into devDependencies, the build bundles it`)
    }
  }
  const imported = new Set(src.flatMap((source) => importsOf(source).map(({ from }) => packageOf(from))))
  for (const name of Object.keys(MET_IN)) {
    if (!imported.has(name)) problems.push(`${name} is not imported`)
  }
  for (const name of [...imported].filter(isPackage)) {
    if (manifest['devDependencies']?.[name] === undefined)
      problems.push(`${name} is imported and not installed`)
  }
  assertNone(problems)
})

test('files, functions and lines are short', () => {
  const problems: string[] = []
  for (const { path, lines } of code) {
    const long = lines.findIndex((line) => line.length > MAX_COLUMNS)
    if (long >= 0) problems.push(`${path}:${long + 1} has ${lines[long]?.length} columns`)
  }
  for (const source of src) {
    const count = source.lines.length - 1
    if (count > MAX_FILE_LINES) problems.push(`${source.path} has ${count} lines`)
    problems.push(...longFunctions(source))
  }
  assertNone(problems)
})

/** Functions and methods, by the formatter's indentation: from a head that opens a block to its closing brace. */
function longFunctions({ path, lines }: Source): string[] {
  return lines.flatMap((line, index) => {
    const [, indent] =
      /^(\s*)(?!if|for|while|switch|catch|else|do\b)(?![\s/*]).*(?:\)(?:: .+)?|\}>|=>) \{$/.exec(line) ?? []
    if (indent === undefined) return []
    // A head of several lines may itself begin with a brace.
    const length = lines.slice(index + 1).findIndex((end) => end.startsWith(`${indent}}`)) + 2
    return length > MAX_FUNCTION_LINES ? [`${path}:${index + 1} is a function of ${length} lines`] : []
  })
}

test('every file of src opens with what it is for', () => {
  assertNone(
    src.filter(({ text }) => !/^\/\*\*[ \n]/.test(text)).map(({ path }) => `${path} opens without a comment`),
  )
})

test('only cli.ts touches the process and the console', () => {
  const found = /(?<![.#])(?:\bconsole\.|\bprocess\.(?:exit|exitCode|on|once|argv|stdout|stderr|stdin)\b)/
  const problems = src
    .filter(({ path }) => path !== 'src/cli.ts')
    .flatMap((source) =>
      found.test(stripped(source, { strings: true }))
        ? [`${source.path}: ${found.exec(stripped(source, { strings: true }))?.[0]}`]
        : [],
    )
  assertNone(problems)
})

test('what waits, expires or measures does not go by the time of day', () => {
  const problems = src
    .filter((source) => /\bDate\.now\b/.test(stripped(source, { strings: true })))
    .map(({ path }) => path)
    .filter((path) => !TIME_OF_DAY.includes(path) && !path.startsWith('src/web/page/')) // a page comes and goes
  assertNone(problems.map((path) => `${path}: Date.now`))
})

test('nothing is left to do, and no test is left out without a reason', () => {
  // Put together, so that this file does not hold what it looks for.
  const left = new RegExp(
    `\\b(?:${['TO', 'FIX', 'XX'].map((word, at) => word + ['DO', 'ME', 'X'][at]).join('|')})\\b`,
  )
  const problems = code.filter(({ text }) => left.test(text)).map(({ path }) => `${path}: ${left.source}`)
  for (const source of code.filter(({ path }) => path.startsWith('test/'))) {
    if (
      /\b(?:test|it|describe|suite)\.(?:only|skip|todo)\b|\b(?:only|skip|todo): true\b|\bskip\(\)/.test(
        stripped(source),
      )
    ) {
      problems.push(`${source.path} leaves a test out without a reason`)
    }
  }
  assertNone(problems)
})

test('no machine is named in what is committed', () => {
  const binary = /\.(gguf|png|torrent)$/
  // `/home/me` is anybody's.
  const paths = [/\/(?:home|Users)\/(?!me\/)[a-z][\w-]*\//, /\/work\/(?:main|shared)\b/, /\/root\/\w/]
  const problems = present(
    tracked.filter((path) => !binary.test(path) && path !== 'test/tidy.test.ts'),
  ).flatMap((source) =>
    paths
      .filter((pattern) => pattern.test(source.text))
      .map((pattern) => `${source.path}: ${pattern.exec(source.text)?.[0]}`),
  )
  for (const lock of present(
    tracked.filter((path) => path.endsWith('package-lock.json') || path.endsWith('.npmrc')),
  )) {
    // Each npm asks the registry it is configured for; an address written down would be asked by everybody.
    const [address] = /https?:\/\/[^"\s]+\.tgz|registry\s*=\s*\S+/.exec(lock.text) ?? []
    if (address !== undefined) problems.push(`${lock.path}: ${address}`)
  }
  assertNone(problems)
})
