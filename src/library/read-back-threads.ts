/**
 * The threads in which downloads are written and read back, off the main one, which is busy with peers. They start with the
 * first download, are shared by all that run, and end when there has been none for a while.
 */
import { availableParallelism } from 'node:os'
import type { Worker } from 'node:worker_threads'
import { FailedError } from '../errors.ts'
import type { HashedResult } from './hash-bytes.ts'
import type { ReadBackJob } from './read-back.ts'
import type { ReadBackOrder, ReadBackReply } from './read-back-worker.ts'
import { startWorker, workerFile } from './worker-file.ts'

/** One reads back some 700 MB/s, and two as fast as the main thread receives. */
const MAX_THREADS = 2
/** An idle thread keeps some 15 MB. */
const IDLE_MS = 10_000

/** The file of one download. */
export interface ReadBackFile {
  /**
   * Writes a piece and reads it back; false when the file does not hold what it should then. `bytes` are left alone
   * until then. Bytes of a SharedArrayBuffer are not copied.
   */
  put(index: number, bytes: Uint8Array): Promise<boolean>
  /**
   * All is written: hashes what is left, and gives what the file holds.
   * @throws the signal's reason
   */
  end(signal: AbortSignal): Promise<HashedResult>
  /** It is wanted no longer; idempotent, and nothing after {@link end}. */
  close(): void
}

interface Waiter<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** A file as this side knows it. */
interface Open {
  readonly path: string
  readonly puts: Map<number, Waiter<boolean>>
  ending: Waiter<HashedResult> | undefined
  /** Why nothing more can be had of it. */
  failure: unknown
}

export class ReadBackThreads {
  readonly #workerUrl: URL
  readonly #threads = new Set<Thread>()
  #lastId = 0

  constructor(workerUrl: URL = workerFile('read-back-worker')) {
    this.#workerUrl = workerUrl
  }

  /** Starts a thread; it waits as long for a file as one that has none any more. */
  start(): void {
    this.#thread()
  }

  open(job: ReadBackJob): ReadBackFile {
    return this.#thread().open(++this.#lastId, job)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.stop()))
  }

  /** The one with the fewest files. */
  #thread(): Thread {
    const [least] = [...this.#threads].sort((a, b) => a.files - b.files)
    const max = Math.min(MAX_THREADS, availableParallelism())
    if (least !== undefined && (least.files === 0 || this.#threads.size >= max)) return least
    const thread = new Thread(this.#workerUrl, () => void this.#threads.delete(thread))
    this.#threads.add(thread)
    return thread
  }
}

class Thread {
  readonly #worker: Worker
  readonly #files = new Map<number, Open>()
  readonly #onEnd: () => void
  #idle: NodeJS.Timeout | undefined

  constructor(url: URL, onEnd: () => void) {
    this.#onEnd = onEnd
    this.#worker = startWorker(url)
    this.#worker.on('message', (replies: readonly ReadBackReply[]) => {
      for (const reply of replies) this.#onReply(reply)
    })
    this.#worker.on('error', (error) => this.#ended(error))
    this.#worker.on('exit', (code) => this.#ended(new Error(`its thread ended with code ${code}`)))
    this.#rest()
  }

  get files(): number {
    return this.#files.size
  }

  open(id: number, job: ReadBackJob): ReadBackFile {
    clearTimeout(this.#idle)
    this.#worker.ref()
    const file: Open = { path: job.path, puts: new Map(), ending: undefined, failure: undefined }
    this.#files.set(id, file)
    this.#send({ kind: 'open', id, job })
    const ask = <T>(order: ReadBackOrder, expect: (waiter: Waiter<T>) => void): Promise<T> => {
      if (file.failure !== undefined) return Promise.reject(file.failure)
      const { promise, resolve, reject } = Promise.withResolvers<T>()
      expect({ resolve, reject })
      this.#send(order)
      return promise
    }
    const close = (reason?: unknown): void => {
      if (!this.#files.has(id)) return
      this.#send({ kind: 'close', id })
      this.#fail(id, reason ?? stopped(job.path))
    }
    return {
      put: (index, bytes) =>
        ask({ kind: 'put', id, index, bytes }, (waiter: Waiter<boolean>) => file.puts.set(index, waiter)),
      end: async (signal) => {
        const abort = (): void => close(signal.reason)
        signal.addEventListener('abort', abort, { once: true })
        try {
          signal.throwIfAborted()
          return await ask({ kind: 'end', id }, (waiter: Waiter<HashedResult>) => {
            file.ending = waiter
          })
        } finally {
          signal.removeEventListener('abort', abort)
          close()
        }
      },
      close: () => close(),
    }
  }

  /** What was asked of it is rejected. */
  async stop(): Promise<void> {
    this.#onEnd() // before it is dead, so that no download begins with it
    for (const [id, { path }] of [...this.#files]) this.#fail(id, stopped(path))
    clearTimeout(this.#idle)
    await this.#worker.terminate()
  }

  #send(order: ReadBackOrder): void {
    this.#worker.postMessage(order)
  }

  #onReply(reply: ReadBackReply): void {
    const file = this.#files.get(reply.id)
    if (file === undefined) return // it was closed meanwhile
    if (reply.kind === 'checked') {
      file.puts.get(reply.index)?.resolve(reply.isRight)
      file.puts.delete(reply.index)
    } else if (reply.kind === 'result') {
      file.ending?.resolve(reply.result)
      this.#forget(reply.id)
    } else {
      this.#fail(reply.id, Object.assign(new Error(reply.message), { code: reply.code }))
    }
  }

  #fail(id: number, error: unknown): void {
    const file = this.#files.get(id)
    if (file === undefined) return
    file.failure = error
    for (const { reject } of file.puts.values()) reject(error)
    file.puts.clear()
    file.ending?.reject(error)
    this.#forget(id)
  }

  #forget(id: number): void {
    this.#files.delete(id)
    if (this.#files.size === 0) this.#rest()
  }

  /** A thread without files neither keeps the process alive nor stays for ever. */
  #rest(): void {
    this.#worker.unref()
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => void this.stop(), IDLE_MS).unref()
  }

  #ended(cause: unknown): void {
    clearTimeout(this.#idle)
    this.#onEnd()
    for (const [id, { path }] of [...this.#files]) {
      this.#fail(
        id,
        new FailedError('hash-worker', `${path} could not be read back: the thread died`, { cause }),
      )
    }
    clearTimeout(this.#idle)
  }
}

const stopped = (path: string): FailedError =>
  new FailedError('stopped', `${path} was not read back: stopping`)
