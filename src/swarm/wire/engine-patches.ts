/**
 * Everything this program changes in the engine (webtorrent 3.0.21) from outside besides the wire protocol, in one
 * place: connections are read into one buffer, and joined to their wires without the five streams between them; and it
 * asks peers for nothing, as the lane does.
 */
import net, { type Server, Socket } from 'node:net'
import type WebTorrent from 'webtorrent'
import type { EnginePeer, EngineTorrent } from 'webtorrent'
import Peer from 'webtorrent/lib/peer.js'
import Torrent from 'webtorrent/lib/torrent.js'
import { FailedError } from '../../errors.ts'
import { Incoming, type IncomingOptions } from './incoming.ts'
import { WireLink } from './wire-link.ts'

/** What a read takes at most; one buffer for all connections, as each read is taken apart before the next. */
const READ_BYTES = 64 * 1024

/** Connections that were refused or given up and are not closed yet, beyond those that are held. */
const MAX_CLOSING = 64

/** Takes bytes that are overwritten as soon as it returns. */
type Receiver = (bytes: Buffer, length: number) => void

/** Who gets what is read from a socket; data that comes before there is somebody is lost, as none is asked for. */
interface Slot {
  receive: Receiver
}

const slots = new WeakMap<object, Slot>()
let installed = false

/**
 * Installs the changes once for the process.
 * @throws {FailedError} `library-changed` when the installed library is not the one this is made for.
 */
export function patchEngine(): void {
  if (installed) return
  const parts = [Peer.prototype?.setThrottlePipes, Torrent.prototype?._drain, Torrent.prototype?._update]
  if (!parts.every((part) => typeof part === 'function')) {
    throw new FailedError(
      'library-changed',
      'webtorrent is not the version (3.0.21) this program was made for',
    )
  }
  installed = true
  linkDirectly(Peer.prototype)
  readIntoOneBuffer(Torrent.prototype)
  // At each `have` of a peer it would rank all others, of a seed too, to find that it wants nothing.
  Torrent.prototype._update = () => undefined
}

/** A limit on the rate needs the engine's own pipes, and so does whatever is no TCP socket. */
function linkDirectly(prototype: EnginePeer): void {
  const { setThrottlePipes } = prototype
  prototype.setThrottlePipes = function (this: EnginePeer) {
    const { conn, throttleGroups } = this
    const isLimited = throttleGroups.up.getEnabled() || throttleGroups.down.getEnabled()
    const slot = slots.get(conn)
    if (isLimited || !(conn instanceof Socket)) {
      if (slot !== undefined) slot.receive = (bytes, length) => pushCopy(conn, bytes, length)
      setThrottlePipes.call(this)
      return
    }
    const link = new WireLink(this)
    if (slot === undefined) conn.on('data', (bytes) => link.receive(bytes, bytes.length))
    else slot.receive = (bytes, length) => link.receive(bytes, length)
  }
}

/** What is read goes into the stream, as if nobody had changed where it is read to. */
function pushCopy(socket: EnginePeer['conn'], bytes: Buffer, length: number): void {
  socket.push(Buffer.from(bytes.subarray(0, length)))
}

function readIntoOneBuffer(prototype: EngineTorrent): void {
  const drain = prototype._drain
  prototype._drain = function (this: EngineTorrent) {
    const library = net as { connect: (options: net.TcpNetConnectOpts) => Socket }
    const { connect } = library
    library.connect = (options) => {
      const reading = readSlot()
      const socket = connect({ ...options, onread: reading.onread })
      slots.set(socket, reading.slot)
      return socket
    }
    try {
      drain.call(this)
    } finally {
      library.connect = connect
    }
  }
}

// Windows reads ahead: there each socket needs memory of its own.
const shared = process.platform === 'win32' ? null : Buffer.allocUnsafeSlow(READ_BYTES)

function readSlot(): { slot: Slot; onread: net.OnReadOpts } {
  const slot: Slot = { receive: () => undefined }
  const buffer = shared ?? Buffer.allocUnsafeSlow(READ_BYTES)
  const callback = (length: number): boolean => {
    slot.receive(buffer, length)
    return true
  }
  return { slot, onread: { buffer, callback } }
}

/** A socket of a server as Node keeps it; these members have no public name. */
interface ServerSocket extends Socket {
  _handle: { useUserBuffer?: unknown } | null
  server?: Server | null
  _server?: Server | null
}

/**
 * Incoming connections are read into the same buffer: only a socket that is made so can do that, so each is made
 * anew on the same descriptor before a byte of it is read. A Node that cannot do that reads as it always did.
 */
export function acceptConnections({ _connPool: pool }: WebTorrent, options: IncomingOptions): Incoming {
  const incoming = new Incoming(options)
  const { tcpServer: server } = pool
  if (server === null) return incoming
  Object.assign(server, { maxConnections: options.maxConns + MAX_CLOSING, pauseOnConnect: true })
  server.removeAllListeners('connection')
  const onConnection = (socket: Socket): void => {
    if (pool.tcpServer === null || socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    incoming.hold(socket, socket.remoteAddress)
    pool._onTCPConnectionBound(socket)
  }
  server.on('connection', (paused: ServerSocket) => {
    if (!incoming.admits(paused.remoteAddress)) {
      paused.destroy()
      return
    }
    const { _handle: handle } = paused
    if (typeof handle?.useUserBuffer !== 'function' || paused._server !== server) {
      paused.resume()
      onConnection(paused)
      return
    }
    const reading = readSlot()
    const options = { handle, onread: reading.onread } as unknown as net.SocketConstructorOpts
    const socket = new Socket(options) as ServerSocket
    slots.set(socket, reading.slot)
    // The server counts its connections until they are closed.
    Object.assign(paused, { _handle: null, server: null, _server: null })
    Object.assign(socket, { server, _server: server })
    onConnection(socket)
  })
  return incoming
}
