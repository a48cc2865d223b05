/** Which of several connections to one member is kept, and who is let in. Wires are pairs of functions. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FleetMember, type KnownHost } from '../../../src/fleet/membership/fleet-member.ts'
import type { MemberInfo } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import type {
  CatalogueWire,
  CatalogueWireListener,
  Gathering,
} from '../../../src/swarm/catalogue/catalogue-wire.ts'
import { afterTest } from '../../helpers/after-test.ts'
import { until } from '../../helpers/until.ts'
import { hashOf, infoOf, SECRET, shardOf } from '../../swarm-unit/catalogue-kit.ts'

interface Member {
  readonly member: FleetMember
  readonly gathering: Gathering
  readonly news: string[]
  online(): readonly KnownHost[]
}

function join(t: TestContext, number: number, change: Partial<MemberInfo> = {}, secret = SECRET): Member {
  let gathering: Gathering | undefined
  const news: string[] = []
  const member = FleetMember.join({
    network: {
      gather: (_infoHash, given) => {
        gathering = given
        return undefined as never
      },
      remove: async () => undefined,
    },
    key: { kind: 'keyed', secret, file: 'key' },
    self: () => infoOf(number, change),
    listener: { onHost: ({ info }, what) => news.push(`${info.name} ${what}`) },
    wantsCatalogues: true,
  })
  afterTest(t, () => member.stop())
  const online = () => member.hosts().filter(({ state }) => state === 'online')
  return { member, gathering: gathering!, news, online }
}

interface Line {
  /** Frames are lost from now on, and nobody is told. */
  cut(): void
  close(): void
  readonly isOpen: boolean
}

/** Connects two members; `from` dialled. */
function connect(from: Gathering, to: Gathering, host = '10.0.0.1'): Line {
  let open = true
  let lost = false
  const ends: CatalogueWireListener[] = []
  const close = (): void => {
    if (!open) return
    open = false
    if (!lost) queueMicrotask(() => ends.map((end) => end.onClosed()))
  }
  const wire = (side: CatalogueWire['side'], other: 0 | 1): CatalogueWire => ({
    side,
    remote: { host, port: 1 },
    unsentBytes: 0,
    send: (frame) => queueMicrotask(() => open && !lost && ends[other]?.onFrame(frame)),
    close,
  })
  ends[0] = from.open(wire('initiator', 1))
  ends[1] = to.open(wire('acceptor', 0))
  return {
    cut: () => {
      lost = true
    },
    close,
    get isOpen() {
      return open
    },
  }
}

/** A stranger's connection: it says nothing. */
function stranger(to: Gathering, host: string): { readonly isOpen: boolean } {
  let isOpen = true
  to.open({
    side: 'acceptor',
    remote: { host, port: 1 },
    unsentBytes: 0,
    send: () => undefined,
    close: () => {
      isOpen = false
    },
  })
  return {
    get isOpen() {
      return isOpen
    },
  }
}

/** Sooner than anybody is left for being silent. */
const soon = { timeoutMs: 8_000 }

test('two that dial each other at the same time keep the same one connection', async (t) => {
  for (const [low, high] of [
    [1, 2],
    [2, 1],
  ] as const) {
    const [a, b] = [join(t, low), join(t, high)]
    const lines = [connect(a.gathering, b.gathering), connect(b.gathering, a.gathering)]
    await until(() => lines.filter(({ isOpen }) => isOpen).length === 1, soon)
    await until(() => a.online()[0]?.complete && b.online()[0]?.complete, soon)
    assert.equal(lines[0]!.isOpen, low === 1, 'the one that the smaller id made')
    for (const { member, news } of [a, b]) {
      assert.equal(member.connected, 1)
      assert.ok(!news.some((line) => line.endsWith('left') || line.endsWith('lost')))
    }
  }
})

test('a host that was killed and started again replaces itself, whichever way it connects', async (t) => {
  for (const isDialled of [true, false]) {
    const coordinator = join(t, 5, { role: 'coordinator' })
    const before = join(t, 1, { startedAt: 1_000 })
    before.member.offer(shardOf(1))
    const old = connect(before.gathering, coordinator.gathering)
    await until(() => coordinator.online()[0]?.shards.size === 1, soon)
    old.cut()
    const after = join(t, 1, { startedAt: 2_000 })
    after.member.offer(shardOf(2))
    const fresh = isDialled
      ? connect(coordinator.gathering, after.gathering)
      : connect(after.gathering, coordinator.gathering)
    await until(() => coordinator.online()[0]?.shards.has(hashOf(2)), soon)
    assert.deepEqual([...coordinator.online()[0]!.shards.keys()], [hashOf(2)])
    assert.ok(fresh.isOpen && !old.isOpen)
    assert.equal(coordinator.online()[0]?.info.startedAt, 2_000)
    assert.ok(!coordinator.news.some((line) => line.includes('lost')))
  }
})

test('the connection of a former run does not replace that of the present one', async (t) => {
  const coordinator = join(t, 5, { role: 'coordinator' })
  connect(join(t, 1, { startedAt: 2_000 }).gathering, coordinator.gathering)
  await until(() => coordinator.online().length === 1, soon)
  const old = connect(join(t, 1, { startedAt: 1_000 }).gathering, coordinator.gathering)
  await until(() => !old.isOpen, soon)
  assert.equal(coordinator.online()[0]?.info.startedAt, 2_000)
})

test('a half-open connection gives way to a new one when a heartbeat is missing, not before', async (t) => {
  // Host 1 has the smaller id, so that a connection made by host 9 is the worse one.
  const [one, nine] = [join(t, 1), join(t, 9)]
  const old = connect(one.gathering, nine.gathering)
  await until(() => one.online().length === 1 && nine.online().length === 1, soon)
  const early = connect(nine.gathering, one.gathering)
  await until(() => !early.isOpen, soon)
  assert.ok(old.isOpen)
  old.cut()
  const tries: Line[] = []
  await until(
    () => {
      if (tries.at(-1)?.isOpen !== true) tries.push(connect(nine.gathering, one.gathering))
      return one.member.connected === 1 && !old.isOpen
    },
    { timeoutMs: 15_000, everyMs: 500, what: 'the half-open one is given up' },
  )
  assert.ok(!one.news.includes('host-9 lost'))
})

test('another key, and the own one by another address, are turned away', async (t) => {
  const [a, b] = [join(t, 1), join(t, 2, {}, new Uint8Array(32))]
  const foreign = connect(b.gathering, a.gathering)
  await until(() => !foreign.isOpen, soon)
  // Whoever hears the other's proof first hangs up, and the other hears no more.
  const turnedAway = [a, b].map(({ member }) => member.turnedAway['wrong-key'] ?? 0)
  assert.ok(turnedAway[0] === 1 || turnedAway[1] === 1)
  const self = connect(a.gathering, a.gathering)
  await until(() => !self.isOpen, soon)
  assert.deepEqual([a.member.turnedAway['wrong-key'] ?? 0, a.member.connected], [turnedAway[0], 0])
})

test('a flood that proves nothing pushes out itself, not those that came from elsewhere', async (t) => {
  const a = join(t, 1)
  const others = ['10.0.0.2', '10.0.0.3'].map((host) => stranger(a.gathering, host))
  const flood = Array.from({ length: 1_000 }, () => stranger(a.gathering, '10.6.6.6'))
  assert.ok(others.every(({ isOpen }) => isOpen))
  assert.equal(flood.filter(({ isOpen }) => isOpen).length, 62)
  assert.deepEqual(a.member.turnedAway, { 'too-many': 938 })
  connect(join(t, 2).gathering, a.gathering, '10.0.0.4')
  await until(() => a.online().length === 1, soon)
})

test('what cannot be told is not offered, and does not cost the rest', async (t) => {
  const [a, b] = [join(t, 1), join(t, 2)]
  assert.equal(a.member.offer(shardOf(1)), undefined)
  assert.match(a.member.offer(shardOf(2, { name: 'aux.gguf' })) ?? '', /device/)
  for (let number = 10; number < 10_009; number++) a.member.offer(shardOf(number))
  assert.match(a.member.offer(shardOf(20_000)) ?? '', /10000 shards at most/)
  assert.equal(a.member.offer(shardOf(1, { architecture: 'qwen' })), undefined)
  connect(a.gathering, b.gathering)
  await until(() => b.online()[0]?.complete, { timeoutMs: 20_000 })
  assert.equal(b.online()[0]?.shards.size, 10_000)
})
