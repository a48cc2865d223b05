/**
 * A network of the bench's own: fixed ports collide with nobody, no client talks to the outside, and there is
 * an address that is not a loopback one (Transmission refuses those) though nothing leaves the machine.
 */
import { spawn, spawnSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { atExit } from '../helpers/after-test.ts'

const ADDRESS = '10.77.0.1'
const MARK = 'BENCH_NETWORK' // what begins with GGUF_SWARM_ is an option of the program

/** Runs this program again within a network namespace, if that can be had; resolves with its exit code. */
export async function inOwnNetwork(): Promise<number | null> {
  if (process.env[MARK] !== undefined) return null
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null
  if (spawnSync('unshare', ['--net', 'true']).status !== 0) return null
  const setUp = `ip link set lo up && ip addr add ${ADDRESS}/24 dev lo && exec "$@"`
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn('unshare', ['--net', 'sh', '-c', setUp, 'sh', ...again], {
    stdio: 'inherit',
    env: { ...process.env, [MARK]: ADDRESS },
  })
  atExit(() => child.kill('SIGTERM')) // Ctrl-C of a terminal reaches it by itself; other signals do not
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
}

/** The address that the clients of the bench listen at. */
export function benchAddress(): string {
  const own = process.env[MARK]
  if (own !== undefined) return own
  const outer = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  return outer?.address ?? '127.0.0.1'
}
