/**
 * Hashes files off the main thread, which is busy with peers: a few worker threads, each with one file at a
 * time; one that has none helps another with its file. Threads start when there is work and end when there is
 * none for a while.
 */
import { availableParallelism } from 'node:os'
import type { Worker } from 'node:worker_threads'
import { FailedError } from '../errors.ts'
import { type HashJob, type HashResult, withInfo } from './hash-file.ts'
import { CANCELLED, type HashShare, LEAVE, LENT, newControl } from './hash-share.ts'
import type { HashReply, HashRequest } from './hash-worker.ts'
import type { ReadBackJob } from './read-back.ts'
import { type ReadBackFile, ReadBackThreads } from './read-back-threads.ts'
import { startWorker, workerFile } from './worker-file.ts'

export type { HashedFile, HashJob, HashResult } from './hash-file.ts'
export type { ReadBackFile } from './read-back-threads.ts'

/** Two threads read as fast as any one disk gives, and one file has no work for a third: SHA-256 is one lane. */
const MAX_THREADS = 2

/** An idle thread keeps some 30 MB; after this long it is given back. */
const IDLE_MS = 10_000

export interface HashPoolOptions {
  /** Files hashed at the same time. */
  readonly threads?: number
  /** The module that each thread runs; only tests give another. */
  readonly workerUrl?: URL
}

export interface HashOptions {
  readonly signal?: AbortSignal
  /** Called when a thread begins with the file. */
  readonly onStart?: () => void
  /** Called a few times a second with the bytes hashed so far. */
  readonly onProgress?: (hashedBytes: number) => void
}

interface Task extends HashOptions {
  readonly job: HashJob
  /** How its threads hear of what cannot wait until they read their port. */
  readonly control: Int32Array
  readonly resolve: (result: HashResult) => void
  readonly reject: (error: unknown) => void
  /** There once its file is open, if a second thread would be of use. */
  share: HashShare | undefined
}

/** One thread, and the task that it is at, or helps with. */
interface Thread {
  readonly worker: Worker
  task: Task | undefined
  helps: Task | undefined
  idleTimer: NodeJS.Timeout | undefined
}

export class HashPool {
  readonly #maxThreads: number
  readonly #workerUrl: URL
  readonly #threads = new Set<Thread>()
  readonly #queue: Task[] = []
  readonly #readBack = new ReadBackThreads()
  #stopped: Promise<void> | undefined

  constructor({ threads, workerUrl }: HashPoolOptions = {}) {
    this.#maxThreads = threads ?? Math.min(MAX_THREADS, availableParallelism())
    this.#workerUrl = workerUrl ?? workerFile('hash-worker')
  }

  /**
   * Hashes a file; files beyond the number of threads wait their turn.
   * @throws the signal's reason; an Error with the system's `code` when the file cannot be read; FailedError
   *   `hash-worker` when the thread died, and `stopped`
   */
  hash(job: HashJob, { signal, onStart, onProgress }: HashOptions = {}): Promise<HashResult> {
    if (this.#stopped)
      return Promise.reject(new FailedError('stopped', `${job.path} was not hashed: stopping`))
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise<HashResult>((resolve, reject) => {
      const cancel = (): void => this.#cancel(task)
      const done = (): void => signal?.removeEventListener('abort', cancel)
      const task: Task = {
        job,
        control: newControl(),
        share: undefined,
        ...(signal && { signal }),
        ...(onStart && { onStart }),
        ...(onProgress && { onProgress }),
        resolve: (result) => {
          done()
          resolve(result)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      signal?.addEventListener('abort', cancel, { once: true })
      this.#queue.push(task)
      this.#dispatch()
    })
  }

  /** A download is to come: its thread starts now, beside whatever else is to be done before. */
  expectDownload(): void {
    this.#readBack.start()
  }

  /** Writes, checks and hashes a file as it is downloaded, in threads of their own: a download may take hours. */
  readBack(job: ReadBackJob): ReadBackFile {
    if (this.#stopped) throw new FailedError('stopped', `${job.path} is not read back: stopping`)
    return this.#readBack.open(job)
  }

  /** Ends all threads; what was not finished is rejected. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    const threads = [...this.#threads]
    const tasks = [...this.#queue.splice(0), ...threads.flatMap(({ task }) => task ?? [])]
    for (const thread of threads) {
      thread.task = undefined
      thread.helps = undefined
      clearTimeout(thread.idleTimer)
    }
    this.#threads.clear()
    for (const { job, control, reject } of tasks) {
      Atomics.store(control, CANCELLED, 1)
      reject(new FailedError('stopped', `${job.path} was not hashed: stopping`))
    }
    await Promise.all([this.#readBack.stop(), ...threads.map(({ worker }) => worker.terminate())])
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#idleThread()
      const task = thread && this.#queue.shift()
      if (!thread || !task) {
        this.#recall()
        return
      }
      wake(thread)
      thread.task = task
      send(thread.worker, { kind: 'hash', job: task.job, control: task.control })
      task.onStart?.()
    }
    this.#lend()
  }

  /** A file of its own comes before helping with another's. */
  #recall(): void {
    for (const { helps } of this.#threads) if (helps) Atomics.store(helps.control, LEAVE, 1)
  }

  /** A thread that would be idle helps with a file that has no helper yet. */
  #lend(): void {
    const helped = new Set([...this.#threads].map(({ helps }) => helps))
    for (const { task } of [...this.#threads]) {
      if (!task?.share || helped.has(task) || task.signal?.aborted) continue
      const helper = this.#idleThread()
      if (!helper) return
      wake(helper)
      helper.helps = task
      Atomics.store(task.control, LEAVE, 0)
      Atomics.store(task.control, LENT, 1)
      send(helper.worker, { kind: 'help', share: task.share })
    }
  }

  #idleThread(): Thread | undefined {
    for (const thread of this.#threads) if (!thread.task && !thread.helps) return thread
    return this.#threads.size < this.#maxThreads ? this.#startThread() : undefined
  }

  #startThread(): Thread {
    const worker = startWorker(this.#workerUrl)
    const thread: Thread = { worker, task: undefined, helps: undefined, idleTimer: undefined }
    worker.on('message', (reply: HashReply) => this.#onReply(thread, reply))
    worker.on('error', (error) => this.#onEnd(thread, error))
    worker.on('exit', (code) => this.#onEnd(thread, new Error(`its thread ended with code ${code}`)))
    this.#threads.add(thread)
    return thread
  }

  #onReply(thread: Thread, reply: HashReply): void {
    // Its last words, on the way to its end: nothing of it must rest now.
    if (!this.#threads.has(thread)) return
    const { task } = thread
    switch (reply.kind) {
      case 'opened':
        if (task) task.share = reply.share
        this.#dispatch()
        return
      case 'progress':
        if (task && !task.signal?.aborted) task.onProgress?.(reply.hashedBytes)
        return
      case 'helped':
        this.#returned(thread)
        break
      case 'result':
      case 'failed':
        thread.task = undefined
        if (task) settle(task, reply)
    }
    this.#dispatch()
    if (!thread.task && !thread.helps) this.#rest(thread)
  }

  /** The helper has let go of its last group: what it did not do is left to the file's own thread. */
  #returned(thread: Thread): void {
    const { helps } = thread
    thread.helps = undefined
    if (!helps) return
    Atomics.store(helps.control, LENT, 0)
    // Unless it was called away, it found nothing more to do, or died of it: nobody is sent after it.
    if (Atomics.load(helps.control, LEAVE) === 0) helps.share = undefined
  }

  /** An idle thread neither keeps the process alive nor stays for ever. */
  #rest(thread: Thread): void {
    thread.worker.unref()
    thread.idleTimer = setTimeout(() => {
      this.#threads.delete(thread)
      void thread.worker.terminate()
    }, IDLE_MS).unref()
  }

  /** The thread died under its task (out of memory, say): the task fails, the next one gets a new thread. */
  #onEnd(thread: Thread, cause: unknown): void {
    if (!this.#threads.delete(thread)) return
    clearTimeout(thread.idleTimer)
    this.#returned(thread)
    const { task } = thread
    thread.task = undefined
    task?.reject(
      new FailedError('hash-worker', `${task.job.path} could not be hashed: the thread died`, { cause }),
    )
    this.#dispatch()
  }

  /** A waiting task is dropped; a running one ends at its next read, and its thread lives on. */
  #cancel(task: Task): void {
    const waiting = this.#queue.indexOf(task)
    if (waiting >= 0) this.#queue.splice(waiting, 1)
    Atomics.store(task.control, CANCELLED, 1)
    // At once, as a disk that hangs would keep the thread from answering.
    task.reject(task.signal?.reason)
  }
}

function settle(
  { job, resolve, reject }: Task,
  reply: Extract<HashReply, { kind: 'result' | 'failed' }>,
): void {
  try {
    if (reply.kind === 'failed') throw Object.assign(new Error(reply.message), { code: reply.code })
    resolve(withInfo(job, reply.result)) // throws of a name that no torrent can carry
  } catch (error) {
    reject(error)
  }
}

function wake(thread: Thread): void {
  clearTimeout(thread.idleTimer)
  thread.worker.ref()
}

function send(worker: Worker, request: HashRequest): void {
  worker.postMessage(request)
}
