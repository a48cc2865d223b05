/** Free ports, and when somebody listens at one. */
import { type AddressInfo, connect, createServer } from 'node:net'
import { until } from '../../helpers/until.ts'
import { START_TIMEOUT_MS } from './client.ts'

/** A TCP port that was free a moment ago; the bench has a network of its own, so that nobody else takes it. */
export async function freePort(address: string): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function untilListening(host: string, port: number, hasEnded: () => boolean): Promise<void> {
  await until(
    async () => {
      if (hasEnded()) return 'ended'
      return new Promise<boolean>((resolve) => {
        const socket = connect(port, host, () => {
          socket.destroy()
          resolve(true)
        })
        socket.on('error', () => resolve(false))
      })
    },
    { timeoutMs: START_TIMEOUT_MS, what: `somebody to listen at ${host}:${port}` },
  )
  if (hasEnded()) throw new Error(`the program that should listen at ${host}:${port} has ended`)
}
