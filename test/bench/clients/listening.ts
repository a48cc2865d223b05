/** When somebody listens at a port. */
import { connect } from 'node:net'
import { until } from '../../helpers/until.ts'
import { START_TIMEOUT_MS } from './client.ts'

export async function untilListening(host: string, port: number, hasEnded: () => boolean): Promise<void> {
  const isListening = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, host, () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
  await until(async () => hasEnded() || isListening(), {
    timeoutMs: START_TIMEOUT_MS,
    what: `somebody to listen at ${host}:${port}`,
  })
  if (hasEnded()) throw new Error(`the program that should listen at ${host}:${port} has ended`)
}
