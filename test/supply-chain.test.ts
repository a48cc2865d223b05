/** What is installed: exactly what the lock file says, without a script of anybody's, each package for a reason. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly hasInstallScript?: boolean
  readonly [kind: string]: unknown
}

const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
const lock = JSON.parse(read('package-lock.json')) as {
  readonly lockfileVersion: number
  readonly packages: Readonly<Record<string, Locked>>
}
const KINDS = ['dependencies', 'devDependencies', 'optionalDependencies'] as const

/**
 * Packages that would run something at install, and do without: three compile what has a fallback in JavaScript or is
 * not used (uTP is off), and one asks for another package manager.
 */
const WITH_SCRIPTS = ['bufferutil', 'ip-set', 'utf-8-validate', 'utp-native']

test('the lock file is that of package.json, and knows the content of every package', () => {
  assert.equal(lock.lockfileVersion, 3)
  const root = lock.packages['']
  for (const kind of KINDS) {
    assert.deepEqual(root?.[kind], manifest[kind], kind)
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name)
    }
  }
  for (const [path, { integrity }] of Object.entries(lock.packages)) {
    if (path !== '') assert.match(integrity ?? '', /^sha512-[\w+/]{86}==$/, path)
  }
})

test('nothing runs at install', () => {
  assert.match(read('.npmrc'), /^ignore-scripts=true$/m)
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish']) {
    assert.equal(manifest['scripts']?.[script], undefined, script)
  }
  const withScripts = Object.entries(lock.packages)
    .filter(([, { hasInstallScript }]) => hasInstallScript === true)
    .map(([path]) => path.replace(/^.*node_modules\//, ''))
  assert.deepEqual(withScripts.sort(), WITH_SCRIPTS, 'a package with a script is a decision to be made')
  const reasons = read('docs/dependencies.md')
  for (const name of WITH_SCRIPTS) assert.ok(reasons.includes(`\`${name}\``), `why ${name} does without`)
})

test('every dependency has its reason written down, with its version', () => {
  const reasons = read('docs/dependencies.md')
  for (const [name, version] of Object.entries(manifest['dependencies'] ?? {})) {
    assert.ok(reasons.includes(`| ${name} ${version} |`), `${name} ${version} is not in docs/dependencies.md`)
  }
  for (const kind of ['devDependencies', 'overrides'] as const) {
    for (const name of Object.keys(manifest[kind] ?? {}))
      assert.ok(
        reasons.includes(name.replace('@biomejs/biome', 'Biome').replace('typescript', 'TypeScript')),
        name,
      )
  }
})
