/** A clean Debian in a folder, made by debootstrap. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What the base image has: this Node, and an npm. */
export function addNode(root: string): void {
  // `npm root` would name the folder of this Node, which has come without one.
  const npm = dirname(dirname(realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim())))
  cpSync(process.execPath, join(root, 'usr/local/bin/node'))
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true, dereference: true })
  execFileSync('chroot', [root, 'ln', '-s', '../lib/node_modules/npm/bin/npm-cli.js', '/usr/local/bin/npm'])
}

/** A minimal Debian and what else is asked for, from the mirror that this machine's apt uses, and its way to the network. */
export function makeRoot(root: string, more: readonly string[] = []): void {
  const [, mirror] = /(https?:\/\/\S+)/.exec(aptSources()) ?? []
  const packages = [
    '--variant=minbase',
    `--include=${['ca-certificates', ...more].join(',')}`,
    'bookworm',
    root,
  ]
  const { status, stdout } = spawnSync(
    'debootstrap',
    [...packages, ...(mirror === undefined ? [] : [mirror])],
    {
      encoding: 'utf8',
    },
  )
  assert.equal(status, 0, stdout?.slice(-2_000))
  for (const path of ['etc/resolv.conf', 'etc/ssl/certs/ca-certificates.crt']) {
    cpSync(join('/', path), join(root, path), { dereference: true })
  }
}

function aptSources(): string {
  const files = execFileSync(
    'sh',
    ['-c', 'cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null; true'],
    {
      encoding: 'utf8',
    },
  )
  return files
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
}
