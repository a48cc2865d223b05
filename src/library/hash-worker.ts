/**
 * A thread of a hash pool: takes one order at a time from its port, a file of its own or one to help with,
 * reports progress, answers with the result. It reads nothing from its port meanwhile: what must reach it then
 * is written into the control block.
 */
import { parentPort } from 'node:worker_threads'
import { messageOf, systemCode } from '../errors.ts'
import { type HashedResult, hashBytes, helpHashBytes } from './hash-bytes.ts'
import type { HashJob } from './hash-file.ts'
import type { HashShare } from './hash-share.ts'

/** What the pool sends. */
export type HashRequest =
  | { readonly kind: 'hash'; readonly job: HashJob; readonly control: Int32Array }
  | { readonly kind: 'help'; readonly share: HashShare }

/** What the worker answers: any number of `opened` and `progress`, then one of the others. */
export type HashReply =
  | { readonly kind: 'opened'; readonly share: HashShare }
  | { readonly kind: 'progress'; readonly hashedBytes: number }
  | { readonly kind: 'result'; readonly result: HashedResult }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'helped' }

/** Often enough for a progress line, too seldom to cost anything. */
const PROGRESS_EVERY_MS = 200

/** A shorter file is done before a helper has come to it. */
const MIN_HELPED_LENGTH: number = 16 * 1024 * 1024

function run(job: HashJob, control: Int32Array): HashReply {
  let reportedAt = performance.now()
  const onProgress = (hashedBytes: number): void => {
    if (performance.now() - reportedAt < PROGRESS_EVERY_MS) return
    reportedAt = performance.now()
    reply({ kind: 'progress', hashedBytes })
  }
  const onOpened = (share: HashShare): void => {
    if (share.length >= MIN_HELPED_LENGTH) reply({ kind: 'opened', share })
  }
  try {
    return { kind: 'result', result: hashBytes(job.path, job.pieceLength, { control, onProgress, onOpened }) }
  } catch (error) {
    return { kind: 'failed', code: systemCode(error), message: messageOf(error) }
  }
}

function help(share: HashShare): HashReply {
  try {
    helpHashBytes(share)
  } catch {
    // The file's own thread meets the same, and says so.
  }
  return { kind: 'helped' }
}

function reply(message: HashReply): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (request: HashRequest) => {
  reply(request.kind === 'help' ? help(request.share) : run(request.job, request.control))
})
