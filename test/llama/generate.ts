/**
 * Lets real llama.cpp load a model and generate from it, in a process of its own: native code that crashes or
 * leaks takes no test with it.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** Starting takes about a second; the rest is for busy machines. */
const GENERATE_TIMEOUT_MS = 120_000

/**
 * The first tokens llama.cpp generates greedily from the model at `modelPath` (for a split model: its first
 * shard). The same model gives the same tokens on the same machine. Call `prepareLlama` first.
 *
 * @throws Error with llama.cpp's own words if the model cannot be loaded.
 */
export async function generateTokens(modelPath: string): Promise<number[]> {
  const child = fork(join(import.meta.dirname, 'generator.ts'), [modelPath], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    signal: AbortSignal.timeout(GENERATE_TIMEOUT_MS),
  })
  const tokens: number[] = []
  child.on('message', (token) => tokens.push(Number(token)))
  if (child.stderr === null) throw new Error('the generator has no stderr')
  const [words, [code, signal]] = await Promise.all([text(child.stderr), once(child, 'close')])
  if (code !== 0)
    throw new Error(`llama.cpp ended with ${code ?? signal} on ${modelPath}:\n${words.trimEnd()}`)
  return tokens
}
