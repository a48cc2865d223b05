/** A reporter of node:test that says nothing but which files failed, one a line. */
import { relative } from 'node:path'
import type { TestEvent } from 'node:test/reporters'

export default async function* failedFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files = new Set<string>()
  for await (const event of source) {
    // What fails outside of any test bears the name of its file.
    if (event.type === 'test:fail') files.add(relative('.', event.data.file ?? event.data.name))
  }
  for (const file of files) yield `${file}\n`
}
