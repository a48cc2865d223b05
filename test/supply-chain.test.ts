/** What is installed: exactly what the lock file says, without a script of anybody's, each package for a reason. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly hasInstallScript?: boolean
  readonly [kind: string]: unknown
}

interface Manifest {
  readonly [kind: string]: Readonly<Record<string, string>> | undefined
}

/** By where they stand in the lock file: the checkout, and the Node that comes with it. */
const MANIFESTS: Readonly<Record<string, Manifest>> = {
  '': JSON.parse(read('package.json')),
  'packaging/node': JSON.parse(read('packaging/node/package.json')),
}
const KINDS = ['dependencies', 'devDependencies', 'optionalDependencies'] as const
const lock = JSON.parse(read('package-lock.json')) as {
  readonly lockfileVersion: number
  readonly packages: Readonly<Record<string, Locked>>
}

test('the lock file is that of package.json, and knows the content of every package', () => {
  assert.equal(lock.lockfileVersion, 3)
  for (const [path, manifest] of Object.entries(MANIFESTS)) {
    for (const kind of KINDS) {
      assert.deepEqual(lock.packages[path]?.[kind], manifest[kind], `${path} ${kind}`)
      for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
        assert.match(version, /^\d+\.\d+\.\d+$/, name)
        assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name)
      }
    }
  }
  for (const [path, { integrity, link }] of Object.entries(lock.packages)) {
    if (path in MANIFESTS || link === true) continue
    assert.match(integrity ?? '', /^sha512-[\w+/]{86}==$/, path)
  }
})

test('nothing runs at install', () => {
  const manifest = MANIFESTS['']!
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish']) {
    assert.equal(manifest['scripts']?.[script], undefined, script)
  }
  const withScripts = Object.entries(lock.packages)
    .filter(([, { hasInstallScript }]) => hasInstallScript === true)
    .map(([path]) => path.replace(/^.*node_modules\//, ''))
  const refused = Object.fromEntries(withScripts.map((name) => [name, false]))
  assert.deepEqual(manifest['allowScripts'], refused, 'a package with a script is a decision to be made')
  const reasons = read('docs/dependencies.md')
  for (const name of withScripts) assert.ok(reasons.includes(`\`${name}\``), `why ${name} does without`)
})

test('a published package has nothing installed beside it', () => {
  for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies']) {
    assert.equal(MANIFESTS['']![kind], undefined, kind)
  }
})

test('every package has its reason written down', () => {
  const reasons = read('docs/dependencies.md')
    .replace('TypeScript', 'typescript')
    .replace('Biome', '@biomejs/biome')
  for (const kind of ['devDependencies', 'overrides'] as const) {
    for (const [name, version] of Object.entries(MANIFESTS['']![kind] ?? {})) {
      const isTyped = name.startsWith('@types/') // goes with its package
      assert.ok(reasons.includes(isTyped ? name : `${name} ${version}`), `${name} ${version}`)
    }
  }
})
