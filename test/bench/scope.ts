/** Lets a row use the tests' helpers, which hang what must be undone on a test's context. */
import type { TestContext } from 'node:test'

export class Scope implements AsyncDisposable {
  readonly #steps: (() => unknown)[] = []
  readonly context: TestContext

  constructor() {
    const after = (step: () => unknown): void => void this.#steps.push(step)
    // All that the helpers ask of it; `passed` keeps them from showing what their processes said.
    this.context = { after, passed: true, diagnostic: () => undefined } as unknown as TestContext
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const step of this.#steps.splice(0)) await step()
  }
}
