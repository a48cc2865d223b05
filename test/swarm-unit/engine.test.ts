/** The libraries whose inside is used: when one of these files changes, every use of it is to be looked at again. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/**
 * SHA-1 of the files as they were when engine-patches, wire-guard, wire-reader, wire-link and lane were written, and
 * what reaches into them: client, wire-policy and seeded-torrent (torrent.js, index.js), the guard of metadata
 * (ut_metadata), the store within the engine's own (immediate-chunk-store).
 */
const KNOWN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  webtorrent: {
    'index.js': 'cc5497a49cbb5ad5aed227f5d24ea22ea5013327',
    'lib/torrent.js': 'eb5e0e1cba4c7c9e755fbeb6523a8de5b38e7548',
    'lib/peer.js': '0605cd464482da4f9233e4fad775cac31c51a6b1',
    'lib/conn-pool.js': '800b5b1c4533eebe0c8d4856c7580049125308fb',
  },
  'bittorrent-protocol': {
    'index.js': '3425b9fc19a2888be5a936d049ec4372e014dd71',
    'mse.js': '447389db05b17a2b5c8c7bc712f9751a964d12fc',
  },
  ut_metadata: { 'index.js': '4d30f66a5ec8ea5c346f6e3fda6c421dccad0c3d' },
  ut_pex: { 'index.js': 'db0a43e9d34af280114d147a2f7a44bbb8af9df8' },
  'immediate-chunk-store': { 'index.js': 'c5805bd4fe8cdd205965530cf12375d1b964ada3' },
}

for (const [name, files] of Object.entries(KNOWN)) {
  test(`${name} is what it was`, () => {
    const folder = dirname(fileURLToPath(import.meta.resolve(name)))
    for (const [path, digest] of Object.entries(files)) {
      assert.equal(hash('sha1', readFileSync(join(folder, path))), digest, `${name}/${path}`)
    }
  })
}
