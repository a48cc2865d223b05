/** A TCP relay on loopback in this process: what goes through it is counted. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { afterTest } from './after-test.ts'

export interface CountingRelay {
  /** As `--peer` wants it. */
  readonly address: string
  /** Connections made to it so far. */
  readonly connections: number
  /** Bytes that came from the far side so far, protocol and all. */
  readonly bytes: number
}

/** Relays to `target` (HOST:PORT). */
export async function countingRelay(t: TestContext, target: string): Promise<CountingRelay> {
  const [host = '', port = ''] = target.split(':')
  const open = new Set<Socket>()
  let connections = 0
  let bytes = 0
  const server = createServer((near) => {
    connections++
    const far = connect({ host, port: Number(port) })
    far.on('data', (data) => {
      bytes += data.length
    })
    near.pipe(far).pipe(near)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  afterTest(t, () => {
    server.close()
    for (const socket of open) socket.destroy()
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections
    },
    get bytes() {
      return bytes
    },
  }
}
