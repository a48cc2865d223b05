/** What a DHT node says when it is asked directly. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/** On loopback it takes a millisecond; whoever gets no answer asks again. */
const ANSWER_MS = 1_000

/**
 * The peers of an infohash that the DHT node at `port` itself names (BEP 5 get_peers), as HOST:PORT. Asked with a
 * packet made by hand, so that no node of ours can answer in its place.
 */
export async function peersNamedBy(port: number, infoHash: string): Promise<readonly string[]> {
  const socket = createSocket('udp4')
  try {
    const query = Buffer.concat([
      Buffer.from(`d1:ad2:id20:${'q'.repeat(20)}9:info_hash20:`, 'latin1'),
      Buffer.from(infoHash, 'hex'),
      Buffer.from('e1:q9:get_peers1:t2:aa1:y1:qe', 'latin1'),
    ])
    socket.send(query, port, '127.0.0.1')
    return await once(socket, 'message', { signal: AbortSignal.timeout(ANSWER_MS) }).then(
      ([answer]) => peersIn(answer),
      () => [], // it does not answer
    )
  } finally {
    socket.close()
  }
}

/** Compact peers in the `values` of a reply: each six bytes, of address and port. */
function peersIn(reply: Buffer): readonly string[] {
  const peers: string[] = []
  const values = reply.indexOf('6:valuesl')
  if (values < 0) return peers
  for (let at = values + 9; reply.toString('latin1', at, at + 2) === '6:'; at += 8) {
    peers.push(`${reply.subarray(at + 2, at + 6).join('.')}:${reply.readUInt16BE(at + 6)}`)
  }
  return peers
}
