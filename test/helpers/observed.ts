/**
 * Loaded into every Node process of a soak (`NODE_OPTIONS=--import`): on SIGUSR2 it collects garbage and appends a line
 * to the file of its pid, so that what a process really keeps can be told from what it has not thrown away yet.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** What a process keeps, in bytes, and what it holds open. */
export interface Observation {
  readonly keptBytes: number
  readonly rssBytes: number
  /** Timers, sockets, watchers and the like that keep a process going, by kind. */
  readonly resources: Readonly<Record<string, number>>
}

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as (options: object) => void
/** Compiled code that is not used any more is thrown away too: otherwise it piles up for as long as there is room. */
const collect = (): void => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })

export function observe(): Observation {
  collect()
  const resources: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
  const { heapUsed, external, rss } = process.memoryUsage()
  return { keptBytes: heapUsed + external, rssBytes: rss, resources }
}

const { GGUF_OBSERVED_DIR } = process.env
if (GGUF_OBSERVED_DIR !== undefined) {
  process.on('SIGUSR2', () => {
    collect() // what finalizers let go of in the first round is there for the second
    setImmediate(() =>
      appendFileSync(join(GGUF_OBSERVED_DIR, `${process.pid}.jsonl`), `${JSON.stringify(observe())}\n`),
    )
  })
}
