/**
 * The thread that writes downloads and reads them back, a piece at a time, and goes on with the SHA-256 of the files, a
 * piece of each in turn, while nothing comes.
 */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { messageOf, systemCode } from '../errors.ts'
import type { HashedResult } from './hash-bytes.ts'
import { ReadBack, type ReadBackJob } from './read-back.ts'

/** What is asked of the thread; `id` names a file. */
export type ReadBackOrder =
  | { readonly kind: 'open'; readonly id: number; readonly job: ReadBackJob }
  | { readonly kind: 'put'; readonly id: number; readonly index: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'close'; readonly id: number }

/** What it answers: one `checked` for each `put`, one `result` for an `end`; nothing more after `failed`. */
export type ReadBackReply =
  | { readonly kind: 'checked'; readonly id: number; readonly index: number; readonly isRight: boolean }
  | { readonly kind: 'result'; readonly id: number; readonly result: HashedResult }
  | { readonly kind: 'failed'; readonly id: number; readonly code: string; readonly message: string }

/** So many are told together at most: pieces that wait to be told hold memory that the next ones need. */
const MAX_REPLIES = 8

const files = new Map<number, ReadBack>()
const replies: ReadBackReply[] = []
let isTurnDue = false

parentPort?.on('message', (first: ReadBackOrder) => {
  for (let next: ReadBackOrder | undefined = first; next !== undefined; next = waitingOrder()) {
    const order = next
    guarded(order.id, () => obey(order))
    if (replies.length >= MAX_REPLIES) sendReplies()
  }
  sendReplies()
  planTurn()
})

/** What came meanwhile, without a turn of the event loop for each. */
function waitingOrder(): ReadBackOrder | undefined {
  return parentPort === null ? undefined : receiveMessageOnPort(parentPort)?.message
}

function obey(order: ReadBackOrder): void {
  const { id } = order
  if (order.kind === 'open') {
    files.set(id, new ReadBack(order.job))
    return
  }
  const file = files.get(id)
  if (file === undefined) return // it failed, and was told so
  if (order.kind === 'put') {
    reply({ kind: 'checked', id, index: order.index, isRight: file.put(order.index, order.bytes) })
  } else if (order.kind === 'end') {
    file.end()
  } else {
    forget(id)
  }
}

/** What is to be written comes first: pieces wait for it, with peers behind them. */
function planTurn(): void {
  if (isTurnDue || ![...files.values()].some((file) => file.isBehind || file.isEnded)) return
  isTurnDue = true
  setImmediate(() => {
    isTurnDue = false
    for (const [id, file] of [...files]) guarded(id, () => goOn(id, file))
    sendReplies()
    planTurn()
  })
}

function goOn(id: number, file: ReadBack): void {
  if (file.isBehind) {
    file.catchUp()
  } else if (file.isEnded) {
    reply({ kind: 'result', id, result: file.result() })
    forget(id)
  }
}

function guarded(id: number, work: () => void): void {
  try {
    work()
  } catch (error) {
    forget(id)
    reply({ kind: 'failed', id, code: systemCode(error), message: messageOf(error) })
  }
}

function forget(id: number): void {
  files.get(id)?.close()
  files.delete(id)
}

function reply(message: ReadBackReply): void {
  replies.push(message)
}

function sendReplies(): void {
  if (replies.length > 0) parentPort?.postMessage(replies.splice(0))
}
