/** How a person's command joins the fleet that was verified. */
import { formatPeerAddress } from '../../metainfo/peer-address.ts'
import type { FleetKey } from '../fleet-key.ts'
import type { DhtChoice } from '../network.ts'

/** The options of any command, as they are typed in a shell. */
export function accessOptions(dht: DhtChoice, key: FleetKey): string {
  const fleet = key.kind === 'open' ? `--fleet ${quote(key.name)}` : `--fleet-key ${quote(key.file)}`
  return `${dhtOptions(dht)} ${fleet}`
}

/** Those that name the DHT. */
export function dhtOptions(dht: DhtChoice): string {
  if (dht.kind === 'public') return '--public'
  return dht.bootstrap.map((node) => `--bootstrap ${formatPeerAddress(node)}`).join(' ')
}

function quote(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
