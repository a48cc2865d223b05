/**
 * A process to throw bytes at: engine and DHT node of the product, with a shard it seeds, one it fetches with its
 * metainfo known, one it fetches by infohash alone, and the rendezvous of an open fleet. It does on standard input
 * what `target-process.ts` tells it, and answers with lines of JSON.
 */
import { Socket as UdpSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { defencesOf } from '../../src/fleet/defences.ts'
import { FleetMember } from '../../src/fleet/membership/fleet-member.ts'
import { Network } from '../../src/fleet/network.ts'
import { FleetPicture } from '../../src/fleet/picture/fleet-picture.ts'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { type Metainfo, metainfoFromInfo, parseMetainfo } from '../../src/metainfo/metainfo.ts'
import { parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import { emptyPartial } from '../hostile/swarm-kit.ts'
import { infoOf } from '../swarm-unit/catalogue-kit.ts'
import type { Answer, Order, State } from './target-process.ts'

/** Addresses come out of thin air here, and nobody behind them is to hear of it: there is no way but to this machine. */
function stayAtHome(): void {
  const isHome = (host: unknown): boolean => host === undefined || String(host).startsWith('127.')
  const noRoute = (): Error => Object.assign(new Error('no route'), { code: 'ENETUNREACH' })
  const { send } = UdpSocket.prototype
  UdpSocket.prototype.send = function (this: UdpSocket, ...args: unknown[]): void {
    if (args.slice(1).every((argument) => typeof argument !== 'string' || isHome(argument)))
      Reflect.apply(send, this, args)
    else (args.at(-1) as (error: Error) => void)(noRoute())
  }
  const { connect } = Socket.prototype
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]): Socket {
    const [options] = args.flat() as { host?: string }[]
    return isHome(options?.host) ? Reflect.apply(connect, this, args) : this.destroy(noRoute())
  }
}
stayAtHome()

const { values } = parseArgs({
  options: {
    seeded: { type: 'string' },
    known: { type: 'string' },
    unknown: { type: 'string' },
    bootstrap: { type: 'string', multiple: true, default: [] },
    'max-conns': { type: 'string', default: '500' },
  },
})

const network = await Network.start(
  {
    bind: '127.0.0.1',
    port: { port: 0, required: true },
    dhtPort: { port: 0, required: true },
    dht: { kind: 'private', bootstrap: values.bootstrap.flatMap((text) => parsePeerAddress(text) ?? []) },
    uploadLimit: null,
    maxConns: Number(values['max-conns']),
    advertise: [],
    nodeId: '1'.repeat(40),
    savedNodes: [],
    readOnly: false,
    identity: '2'.repeat(40),
  },
  {},
)

type Content = Metainfo & { readonly path: string }

async function contentOf(folder: string | undefined): Promise<Content> {
  const metainfo = parseMetainfo(await readFile(join(folder!, 'content.torrent')))
  return { ...metainfo, path: join(folder!, 'content.bin') }
}

async function download({ infoHash, torrentFile, path, ...rest }: Content, isKnown: boolean): Promise<void> {
  const partial = await emptyPartial(`${path}.part`, rest)
  network.download({
    infoHash,
    ...(isKnown ? { known: { torrentFile, bitfield: partial.note.synced } } : {}),
    store: { partial: Promise.resolve(partial), onFailed: () => undefined },
    onMetadata: (info) => void metainfoFromInfo(info),
    onDone: () => undefined,
    onFailed: () => undefined,
  })
}

const seeded = await contentOf(values.seeded)
const served = { ...seeded, check: async () => undefined, onLost: () => undefined }
network.seed(seeded.torrentFile, seeded.infoHash, served, () => undefined)
const known = await contentOf(values.known)
await download(known, true)
const unknown = await contentOf(values.unknown)
await download(unknown, false)
const key = { kind: 'open', name: 'fuzz' } as const
const picture = new FleetPicture({
  fleet: { name: 'fuzz', keyed: false, rendezvous: seeded.infoHash },
  wantedReplicas: 2,
  onChange: () => undefined,
})
const self = infoOf(1, { port: network.client.port })
const member = FleetMember.join({ network, key, wantsCatalogues: true, self: () => self, listener: picture })
let highestHeapBytes = 0
setInterval(() => {
  highestHeapBytes = Math.max(highestHeapBytes, process.memoryUsage().heapUsed)
}, 20)

async function obey(order: Order): Promise<object> {
  switch (order.order) {
    case 'state': {
      gc?.()
      const { heapUsed, external } = process.memoryUsage()
      const kept = { keptBytes: heapUsed + external, highestHeapBytes }
      return { ...kept, turnedAway: member.turnedAway, ...defencesOf(network) } satisfies State
    }
    case 'ping':
      return { datagrams: network.dht.guard }
    case 'dial':
      network.torrent(parseInfoHash(order.infoHash))?.dial({ host: order.host, port: order.port })
      return {}
    case 'lookup': {
      const found = await network.findPeers(parseInfoHash(order.infoHash))
      const { stored } = await network.dht.announce(parseInfoHash(order.infoHash), network.client.port)
      return { found: found.length, stored }
    }
  }
}

const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`)
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line) as Order & { readonly number: number }
    void obey(order).then((answer) =>
      say({ event: 'answer', number: order.number, ...answer } satisfies Answer),
    )
  })
  .on('close', () => process.exit())
say({
  event: 'listening',
  port: network.client.port,
  dhtPort: network.dht.port,
  infoHashes: {
    seeded: seeded.infoHash,
    known: known.infoHash,
    unknown: unknown.infoHash,
    rendezvous: member.rendezvous,
    nobody: 'f'.repeat(40),
  },
})
