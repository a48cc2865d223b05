/**
 * A hash worker that dies of the files named `deadly.gguf`, as a real one would of memory running out, and when
 * it helps with one named `deadly-to-help.gguf`: in the middle, with a group in hand. It leaves a note then.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import '../../src/library/hash-worker.ts'

const { openSync, readSync, writeFileSync, existsSync } = fs
const READS_OF_A_HELPER = 5
let readsLeft = Number.POSITIVE_INFINITY
let note = ''

function mortalOpen(path: string, flags: number): number {
  if (path.endsWith('deadly.gguf')) process.exit(7)
  if (path.endsWith('deadly-to-help.gguf')) {
    // The first thread to open it is the file's own.
    if (existsSync(`${path}.opened`)) readsLeft = READS_OF_A_HELPER
    writeFileSync(`${path}.opened`, '')
    note = `${path}.died`
  }
  return openSync(path, flags)
}

function mortalRead(...args: Parameters<typeof readSync>): number {
  if (--readsLeft < 0) {
    writeFileSync(note, '')
    process.exit(7)
  }
  return readSync(...args)
}

Object.assign(fs, { openSync: mortalOpen, readSync: mortalRead })
syncBuiltinESMExports()
