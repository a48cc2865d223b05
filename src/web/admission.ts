/** Whose TCP connections the web server takes, before it reads a byte of them. */
import type { Server } from 'node:http'
import { isLoopbackAddress } from './guard.ts'

export interface AdmissionLimits {
  /** Whether connections from this address are taken; all are, when left out. */
  readonly admits?: ((address: string) => boolean) | undefined
  /** At once over all the servers, from one address elsewhere. Programs here, such as a proxy, have no limit of their own. */
  readonly perAddress: number
  readonly onRefused: (reason: 'address-not-allowed' | 'crowding') => void
}

/** Closes connections that are over the limits; to be called before anything else listens for them. */
export function admitConnections(servers: readonly Server[], limits: AdmissionLimits): void {
  const counts = new Map<string, number>()
  for (const server of servers) {
    server.on('connection', (socket) => {
      const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
      if (limits.admits?.(address) === false) {
        limits.onRefused('address-not-allowed')
        socket.destroy()
        return
      }
      const count = (counts.get(address) ?? 0) + 1
      if (count > limits.perAddress && !isLoopbackAddress(address)) {
        limits.onRefused('crowding')
        socket.destroy()
        return
      }
      counts.set(address, count)
      socket.once('close', () => {
        const left = (counts.get(address) ?? 1) - 1
        if (left > 0) counts.set(address, left)
        else counts.delete(address)
      })
    })
  }
}
