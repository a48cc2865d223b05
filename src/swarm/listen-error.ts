/** What keeps a port from being opened, in words that say what to do; the same for TCP and UDP. */
import { FailedError, messageOf, systemCode } from '../errors.ts'

/** Which port; `option` is how a person chooses another, where there is a way. */
export interface ListenTarget {
  readonly protocol: 'TCP' | 'UDP'
  readonly bind: string
  readonly port: number
  readonly option?: string | undefined
}

/** `port-in-use`, or `cannot-listen` with the system's reason. */
export function listenError(error: unknown, { protocol, bind, port, option }: ListenTarget): FailedError {
  if (systemCode(error) === 'EADDRINUSE') {
    const how = option === undefined ? '' : ` with ${option}`
    return new FailedError(
      'port-in-use',
      `${protocol} port ${port} on ${bind} is in use by another program; choose another${how} or stop that program`,
      { cause: error },
    )
  }
  return new FailedError(
    'cannot-listen',
    `cannot listen on ${protocol} ${bind}:${port}: ${messageOf(error)}`,
    {
      cause: error,
    },
  )
}
