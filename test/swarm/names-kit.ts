/** `get` by name, and how it refuses. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Fleet } from '../helpers/fleet.ts'
import { type Got, runGet, theError, visibleFiles } from '../helpers/swarm.ts'

/** A `get` of these names in the fleet; `out` is a folder of its own. */
export async function getNamed(
  t: TestContext,
  { bootstrap, keyFile, folder }: Pick<Fleet, 'bootstrap' | 'keyFile' | 'folder'>,
  names: readonly string[],
  { json = true, args = [], out = 'out' }: { json?: boolean; args?: readonly string[]; out?: string } = {},
): Promise<Got & { readonly out: string }> {
  const folderOut = join(folder, out)
  const got = await runGet(t, names, {
    bootstrap: bootstrap.address,
    out: folderOut,
    json,
    args: ['--fleet-key', keyFile, ...args],
  })
  return { ...got, out: folderOut }
}

export async function refused(
  t: TestContext,
  got: Got & { out: string },
  exit: number,
  code: string,
): Promise<string> {
  assert.equal(got.code, exit, got.stderr)
  const error = theError(got)
  assert.equal(error.code, code, error.message)
  assert.deepEqual(await visibleFiles(got.out), [], 'nothing is there under a final name')
  t.diagnostic(error.message)
  return error.message
}
