/**
 * The thread of a hash pool: takes one job at a time from its port, reports progress, answers with the
 * result.
 */
import { parentPort } from 'node:worker_threads'
import { messageOf, systemCode } from '../errors.ts'
import { type HashJob, type HashResult, hashFile } from './hash-file.ts'

/** What the pool sends. */
export type HashRequest = { readonly kind: 'hash'; readonly job: HashJob } | { readonly kind: 'cancel' }

/** What the worker answers: any number of `progress`, then one of the others. */
export type HashReply =
  | { readonly kind: 'progress'; readonly hashedBytes: number }
  | { readonly kind: 'result'; readonly result: HashResult }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

/** Often enough for a progress line, too seldom to cost anything. */
const PROGRESS_EVERY_MS = 200

let running: AbortController | undefined

async function run(job: HashJob, { signal }: AbortController): Promise<HashReply> {
  let reportedAt = performance.now()
  const onProgress = (hashedBytes: number): void => {
    if (performance.now() - reportedAt < PROGRESS_EVERY_MS) return
    reportedAt = performance.now()
    reply({ kind: 'progress', hashedBytes })
  }
  try {
    return { kind: 'result', result: await hashFile(job, { signal, onProgress }) }
  } catch (error) {
    return { kind: 'failed', code: systemCode(error), message: messageOf(error) }
  }
}

function reply(message: HashReply): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (request: HashRequest) => {
  if (request.kind === 'cancel') {
    running?.abort()
    return
  }
  running = new AbortController()
  void run(request.job, running).then((answer) => {
    running = undefined
    reply(answer)
  })
})
