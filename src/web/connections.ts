/**
 * Room for those who come: when all connections of a port are taken, one of which nothing is known but that it waits
 * gives way. Many that send their requests a byte at a time, or take their answers so, cannot keep others out.
 */
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface ConnectionOptions {
  readonly maxConnections: number
  /** An answer that is still being taken after this long may be cut off for whoever comes. */
  readonly slowAnswerMs: number
  /** A connection was given up, or, where nobody could give way, refused. */
  readonly onRefused: (reason: 'connection-given-up' | 'connections-full') => void
}

/** Limits the connections of `server` from now on. */
export function limitConnections(server: Server, options: ConnectionOptions): void {
  const open = new Set<Socket>()
  /** Between requests, or before the first is whole; oldest first. */
  const waiting = new Set<Socket>()
  /** Being answered, since when; oldest first. */
  const answered = new Map<Socket, number>()
  /** What was asked for last: several requests may come at once, and are answered one behind the other. */
  const last = new WeakMap<Socket, ServerResponse>()

  function victim(): Socket | undefined {
    const [waitsLongest] = waiting
    if (waitsLongest !== undefined) return waitsLongest
    const [[slowest, since] = []] = answered
    return since !== undefined && performance.now() - since >= options.slowAnswerMs ? slowest : undefined
  }

  server.on('connection', (socket) => {
    if (socket.destroyed) return // turned away already
    if (open.size >= options.maxConnections) {
      const given = victim()
      options.onRefused(given === undefined ? 'connections-full' : 'connection-given-up')
      if (given === undefined) {
        socket.destroy()
        return
      }
      forget(given)
      given.destroy()
    }
    open.add(socket)
    waiting.add(socket)
    socket.once('close', () => forget(socket))
  })
  server.prependListener('request', ({ socket }, response) => {
    if (!open.has(socket)) return
    waiting.delete(socket)
    last.set(socket, response)
    if (!answered.has(socket)) answered.set(socket, performance.now())
    response.once('close', () => {
      if (!answered.delete(socket) || socket.destroyed) return
      if (last.get(socket) === response) waiting.add(socket)
      else answered.set(socket, performance.now()) // the next one's turn
    })
  })
  // A WebSocket is the live feed's from here on, which has a limit of its own.
  server.prependListener('upgrade', ({ socket }) => void waiting.delete(socket as Socket))

  function forget(socket: Socket): void {
    open.delete(socket)
    waiting.delete(socket)
    answered.delete(socket)
  }
}
