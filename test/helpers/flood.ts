/**
 * A program that floods, started by `test/soak/floods.ts` at the lowest priority, as one on another machine would take
 * nothing from this one: `node flood.ts KIND PORT INFOHASH`. Prints `{"event":"under way"}`, and at its end
 * `{"event":"ended","sent":N}`.
 */
import { createSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import bencode from 'bencode'
import { handshake, ID, message, uint32 } from '../hostile/raw-peer.ts'

const TICK_MS = 20
/** From then on it is a flood: the one that opens fewest connections keeps so many. */
const UNDER_WAY = 50
const [kind = '', port = '0', infoHash = ''] = process.argv.slice(2)
const target = { host: '127.0.0.1', port: Number(port) }
let sent = 0

const id = (number: number): Buffer => Buffer.from(number.toString(16).padStart(40, '0'), 'hex')
const query = (q: string, a: object): Uint8Array => bencode.encode({ t: 'ff', y: 'q', q, a: a as never })

/** Twenty thousand datagrams a second from a hundred addresses. */
async function queries(): Promise<void> {
  const sockets = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const socket = createSocket('udp4')
      await new Promise<void>((resolve) => socket.bind(0, `127.0.2.${index + 1}`, resolve))
      return socket
    }),
  )
  for (;;) {
    for (let count = 0; count < 400; count++) {
      const bytes = query('get_peers', { id: id(++sent), info_hash: id(sent % 977) })
      sockets[sent % sockets.length]!.send(bytes, target.port, target.host)
    }
    await delay(TICK_MS)
  }
}

/** Announces of ever other infohashes, each with its token. */
async function announces(): Promise<void> {
  const flooders = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const socket = createSocket('udp4')
      await new Promise<void>((resolve) => socket.bind(0, `127.0.3.${index + 1}`, resolve))
      const reply = new Promise<Buffer>((resolve) => socket.once('message', resolve))
      socket.send(query('get_peers', { id: id(index), info_hash: id(0) }), target.port, target.host)
      const { r } = bencode.decode(await reply) as { r: { token: Uint8Array } }
      socket.on('message', () => undefined)
      return { socket, token: r.token }
    }),
  )
  for (;;) {
    for (let count = 0; count < 200; count++) {
      const { socket, token } = flooders[++sent % flooders.length]!
      socket.send(
        query('announce_peer', { id: id(1), info_hash: id(sent), port: 6_881, token }),
        target.port,
        target.host,
      )
    }
    await delay(TICK_MS)
  }
}

/** Keeps so many sockets open, from as many addresses; those that are closed are opened again. */
async function hold(count: number, opened: (socket: Socket, number: number) => void): Promise<void> {
  const open = new Set<Socket>()
  for (;;) {
    for (let more = 0; more < 10 && open.size < count; more++) {
      const socket = connect({ ...target, localAddress: `127.0.${10 + (sent % 40)}.${1 + (sent % 250)}` })
      sent++
      open.add(socket)
      socket.on('error', () => undefined) // refused, as is meant to happen
      socket.once('close', () => open.delete(socket))
      socket.once('connect', () => opened(socket, sent))
    }
    await delay(TICK_MS)
  }
}

const http = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`
const upgrade = [
  `${http.replace('GET /', 'GET /ws')}Connection: Upgrade`,
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
].join('\r\n')
const kinds: Readonly<Record<string, () => Promise<void>>> = {
  queries,
  announces,
  /** 96 bytes make an encrypted opening, which costs the other side a key exchange. */
  connections: () => hold(2_000, (socket, number) => socket.write(Buffer.alloc(96, 1 + (number % 250)))),
  /** Asks for all there is, and reads nothing of it. */
  requests: () =>
    hold(50, (socket) => {
      socket.pause()
      const asks = Array.from({ length: 400 }, (_, index) =>
        message(ID.request, uint32(index % 20, 0, 16_384)),
      )
      socket.write(
        Buffer.concat([handshake({ infoHash }), message(ID.haveNone), message(ID.interested), ...asks]),
      )
    }),
  'slow-requests': () =>
    hold(1_000, (socket, number) => {
      socket.write(http.slice(0, 10 + (number % 30)))
      const drip = setInterval(() => void (socket.writable ? socket.write('x') : clearInterval(drip)), 1_000)
    }),
  'slow-feeds': () =>
    hold(400, (socket) => {
      socket.pause()
      socket.write(upgrade)
    }),
}

const rising = setInterval(() => {
  if (sent < UNDER_WAY) return
  clearInterval(rising)
  console.log(JSON.stringify({ event: 'under way' }))
}, TICK_MS)
process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ event: 'ended', sent })}\n`, () => process.exit())
})
await kinds[kind]!()
