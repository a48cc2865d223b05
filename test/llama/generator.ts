/** The process behind `generate.ts`: loads the model given as its argument and sends each token it generates. */
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'

const TOKENS = 16
const PROMPT = 'the tail of a rat'

const [, , modelPath] = process.argv
if (modelPath === undefined) throw new Error('usage: generator.ts MODEL')

// Never build and never a graphics card: the prebuilt library computes the same on every run.
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.warn })
const model = await llama.loadModel({ modelPath })
const context = await model.createContext({ contextSize: 64, threads: 1 })
const { bos } = model.tokens
const prompt = [...(bos === null ? [] : [bos]), ...model.tokenize(PROMPT)]
let left = TOKENS
for await (const token of context.getSequence().evaluate(prompt, { temperature: 0 })) {
  process.send?.(token)
  if (--left === 0) break
}
await llama.dispose()
process.disconnect()
