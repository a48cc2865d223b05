/** Members gone bad: they hold the key, and what they say is too much, a lie, or meant for a terminal or a page. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { printable } from '../../src/log.ts'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import type { OfferedShard } from '../../src/swarm/catalogue/catalogue-entry.ts'
import type { CatalogueSession } from '../../src/swarm/catalogue/catalogue-session.ts'
import { PATIENCE_MS, untilSaid, visibleFiles } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { infoOf, shardOf } from '../swarm-unit/catalogue-kit.ts'
import {
  type AttackedFleet,
  expectCut,
  type FleetPeer,
  meetFleet,
  startAttackedFleet,
} from './catalogue-kit.ts'

/** 100,000 shards in the picture and in the answers of the API: 630 MB here. Without a bound the process ended. */
const MAX_GROWTH_BYTES = 1024 * 1024 * 1024
/** Fits a frame. */
const PAGE = 250

async function expectRefused(
  t: TestContext,
  attacked: AttackedFleet,
  reason: string,
  say: (session: CatalogueSession) => void,
) {
  const peer = await meetFleet(t, attacked.coordinator.port, attacked)
  const session = await peer.enter(attacked.secret, 1_000)
  await expectCut(attacked, peer, reason, () => say(session))
}

const page = (put: readonly OfferedShard[]) => ({ type: 'shards', put, drop: [], isPartial: false }) as const

test('members gone bad', async (t) => {
  const attacked = await startAttackedFleet(t)
  const enter = async (number: number, name = `bad-${number}`): Promise<[FleetPeer, CatalogueSession]> => {
    const peer = await meetFleet(t, attacked.coordinator.port, attacked)
    return [peer, await peer.enter(attacked.secret, number, { name })]
  }

  await t.test('names that are paths, hidden, unprintable or no shards', async () => {
    for (const name of ['../../x.gguf', '/tmp/x.gguf', '.x.gguf', 'a\u001b[2J.gguf', 'x.sh', 'aux.gguf']) {
      await expectRefused(t, attacked, 'malformed', (session) => session.send(page([shardOf(1, { name })])))
    }
    await expectRefused(t, attacked, 'malformed', (session) =>
      session.send(page([shardOf(1, { model: '..' })])),
    )
  })

  await t.test('lengths and numbers that cannot be, and a count that is not what was told', async () => {
    for (const lie of [{ length: 0 }, { length: 2 ** 60 }, { pieceLength: 1 }, { number: 5 }, { count: 0 }]) {
      await expectRefused(t, attacked, 'malformed', (session) => session.send(page([shardOf(1, lie)])))
    }
    await expectRefused(t, attacked, 'malformed', (session) => {
      session.send(page([shardOf(1)]))
      for (let beat = 0; beat < 2; beat++) session.send({ type: 'beat', info: infoOf(1), shardCount: 9_000 })
    })
  })

  await t.test('a second name, a page before the first, and messages without end', async () => {
    const info = { type: 'info', info: infoOf(1_001), wantsCatalogue: false } as const
    await expectRefused(t, attacked, 'malformed', (session) => session.send(info))
    await expectRefused(t, attacked, 'flooding', (session) => {
      for (let count = 0; count < 1_000; count++) session.send(page([shardOf(count % 10)]))
    })
    const peer = await meetFleet(t, attacked.coordinator.port, attacked)
    ;(await peer.prove(attacked.secret)).send(page([]))
    await peer.raw.hungUp('it did not say who it is')
  })

  await t.test('a million made-up shards of a hundred made-up hosts', async () => {
    const open: FleetPeer[] = []
    for (let number = 1; number <= 100; number++) {
      const [peer, session] = await enter(2_000 + number)
      open.push(peer)
      for (let at = 0; at < 10_000 && !peer.raw.closed; at += PAGE) {
        const put = Array.from({ length: PAGE }, (_, index) =>
          shardOf(at + index, { infoHash: parseInfoHash(randomBytes(20).toString('hex')) }),
        )
        session.send(page(put))
        if (at % 2_500 === 0) await pause(1) // the other side reads
      }
    }
    await until(async () => (await attacked.turnedAway('too-many')) > 0, {
      timeoutMs: 60_000,
      what: 'too many',
    })
    const { totals } = await attacked.status()
    t.diagnostic(`${totals.shards} shards of ${totals.hostsOnline} hosts were kept`)
    assert.ok(totals.shards <= 100_000)
    assert.ok(
      (await attacked.status()).hosts.some(({ name, state }) => name === 'shard-0' && state === 'online'),
    )
    for (const peer of open) peer.raw.socket.destroy()
    const isOver = async (): Promise<boolean> => (await attacked.status()).totals.hostsOnline === 1
    await until(isOver, { timeoutMs: 60_000, what: 'they are lost' })
  })

  await t.test('names for terminals and pages are shown escaped, and nothing is made of them', async () => {
    const name = '<img src=x onerror=alert(1)>\u202e\u001b]0;owned\u0007'
    const [, session] = await enter(3_000, name)
    session.send(
      page([
        shardOf(7, {
          name: '"><script>alert(1)</script>.gguf'.replaceAll('/', ''),
          architecture: '\u001b[31m',
        }),
      ]),
    )
    const isShown = async (): Promise<boolean> =>
      (await attacked.status()).hosts.some((host) => host.name === name)
    await until(isShown, { timeoutMs: 10_000, what: 'its name in the API' })
    const host = await meetFleet(t, attacked.host.port, attacked)
    await host.enter(attacked.secret, 3_000, { name })
    const { cli } = attacked.fleet.hosts[0]!
    await untilSaid(cli, 'Met host <img')
    for (const text of [cli.stderr, attacked.web.stderr]) {
      for (const line of text.split('\n')) assert.equal(printable(line), line)
    }
  })

  await attacked.assertWell(MAX_GROWTH_BYTES)
  const [host] = attacked.fleet.hosts
  assert.deepEqual(await readdir(host!.folder), ['tiny-00001-of-00001.gguf'])
})

test('a host that replicates fetches nothing it did not ask for, and believes no lie', async (t) => {
  const attacked = await startAttackedFleet(t, {
    shards: 2,
    args: ['--replicate', '--want', 'tiny-*', '--want', 'lie*'],
  })
  const [host] = attacked.fleet.hosts
  const other = await attacked.fleet.startHost('other', ['--replicate', '--want', 'tiny-*'])
  const before = await readdir(dirname(host!.folder))
  const shards = await until(
    async () => {
      const { shards } = await attacked.status()
      return shards.length === 2 ? shards : undefined
    },
    { timeoutMs: PATIENCE_MS, what: 'both shards in the picture' },
  )
  const [first] = shards
  const liar = await meetFleet(t, attacked.host.port, attacked)
  const session = await liar.enter(attacked.secret, 5_000)
  const lies: readonly OfferedShard[] = [
    shardOf(1, { name: 'unwanted.gguf' }),
    shardOf(2, { name: 'lie-nobody-has.gguf' }),
    shardOf(3, { name: 'lie-larger-than-any-disk.gguf', length: Number.MAX_SAFE_INTEGER }),
    // A real shard under another name, of another length and with another SHA-256.
    shardOf(4, { infoHash: first!.infoHash, name: 'lie-of-a-name.gguf', length: 5, sha256: 'f'.repeat(64) }),
  ]
  session.send(page(lies))
  for (const { name } of shards) await other.seeding(name, { timeoutMs: PATIENCE_MS })
  const tried = (): readonly string[] =>
    host!.cli.events().flatMap((event) => (event.event === 'not-replicated' ? [event.name] : []))
  await until(() => tried().includes('lie-nobody-has.gguf'), {
    timeoutMs: PATIENCE_MS,
    what: 'a lie is given up',
  })
  assert.deepEqual(await visibleFiles(host!.folder), shards.map(({ name }) => name).sort())
  assert.deepEqual(await visibleFiles(other.folder), shards.map(({ name }) => name).sort())
  assert.deepEqual(await readdir(dirname(host!.folder)), before)
  const begun = host!.cli.events().flatMap((event) => (event.event === 'replicating' ? [event.name] : []))
  t.diagnostic(`begun: ${begun}; given up: ${tried()}`)
  assert.ok(!begun.includes('unwanted.gguf') && !begun.includes('lie-larger-than-any-disk.gguf'))
  await attacked.assertWell()
})
