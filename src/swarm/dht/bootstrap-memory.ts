/** Whether our own bootstraps still remember what was announced to them. */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import type { DhtNode } from './dht.ts'

/** A node that names so many peers may know others, us among them: libtorrent names 100 at most, our own nodes 50. */
const PEERS_OF_MANY = 20

/**
 * Whether one of the bootstraps of `dht` answers and has forgotten `beacon`, which we alone announce, or us as a peer
 * of `shard`. One that restarts between the announces of the two has the beacon alone, and perhaps a downloader of the
 * shard. By the beacon it tells under which address it knows us.
 */
export async function isForgotten(dht: DhtNode, beacon: InfoHash, shard?: InfoHash): Promise<boolean> {
  const isForgottenBy = async (bootstrap: PeerAddress): Promise<boolean> => {
    const [us, peers] = await Promise.all([
      dht.peersKnownTo(bootstrap, beacon),
      shard === undefined ? null : dht.peersKnownTo(bootstrap, shard),
    ])
    if (us?.length === 0) return true
    if (us === null || peers === null || peers.length >= PEERS_OF_MANY) return false
    return !peers.some((peer) => us.includes(peer))
  }
  return (await Promise.all(dht.bootstrap.map(isForgottenBy))).includes(true)
}
