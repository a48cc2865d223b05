/** A hash worker that dies of the files named `deadly.gguf`, as a real one would of memory running out. */
import { parentPort } from 'node:worker_threads'
import '../../src/library/hash-worker.ts'
import type { HashRequest } from '../../src/library/hash-worker.ts'

parentPort?.on('message', (request: HashRequest) => {
  if (request.kind === 'hash' && request.job.path.endsWith('deadly.gguf')) process.exit(7)
})
