/** Starts this program's worker threads from their files. */
import nodeModule from 'node:module'
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** The checkout runs the .ts file itself, the package its compiled .js neighbour. */
export function workerFile(name: string): URL {
  return new URL(`./${name}.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
}

/**
 * Starts a thread that keeps compiled code where the main one does, which it is not told of by itself: to strip the
 * types of its few files took it 0.1 s of CPU time, half of that is left.
 */
export function startWorker(file: URL): Worker {
  const cache = nodeModule.getCompileCacheDir?.()
  if (cache === undefined) return new Worker(file)
  return new Worker(file, { env: { ...process.env, NODE_COMPILE_CACHE: dirname(cache) } })
}
