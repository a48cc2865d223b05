/**
 * A tracker of one answer: whoever asks is sent to the one seeder of the infohash (BEP 23). Clients that take
 * no peer address from their user find it here, in the first millisecond, by a way all of them speak.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface PeerAt {
  readonly host: string
  readonly port: number
}

export class Tracker implements AsyncDisposable {
  readonly #server: Server
  readonly #peers = new Map<string, readonly PeerAt[]>()
  readonly url: string

  private constructor(server: Server, host: string) {
    this.#server = server
    this.url = `http://${host}:${(server.address() as AddressInfo).port}/announce`
  }

  static async start(host: string): Promise<Tracker> {
    const server = createServer((request, response) => {
      const [, encoded = ''] = /[?&]info_hash=([^&]*)/.exec(request.url ?? '') ?? []
      response.end(tracker.#answer(decodeBytes(encoded).toString('hex')))
    })
    await new Promise<void>((resolve) => server.listen(0, host, resolve))
    const tracker = new Tracker(server, host)
    return tracker
  }

  set(infoHash: string, peers: readonly PeerAt[]): void {
    this.#peers.set(infoHash, peers)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(infoHash: string): Buffer {
    const peers = (this.#peers.get(infoHash) ?? []).map(({ host, port }) =>
      Buffer.from([...host.split('.').map(Number), port >> 8, port & 255]),
    )
    const compact = Buffer.concat(peers)
    return Buffer.concat([
      Buffer.from(`d8:intervali1800e5:peers${compact.length}:`),
      compact,
      Buffer.from('e'),
    ])
  }
}

/** The bytes of a percent-encoded query value; they are no UTF-8, so decodeURIComponent would refuse them. */
function decodeBytes(encoded: string): Buffer {
  return Buffer.from(
    encoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
}
