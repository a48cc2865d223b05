/**
 * Commands with which a person sees the same again. They need a shell and Node, nothing of this program, so that
 * they are a second opinion; where they do need it, they join the fleet that was verified.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import type { FleetKey } from '../membership/fleet-key.ts'
import type { DhtChoice } from '../network.ts'

/** A node id of 20 letters, as in the examples of BEP 5. */
const ID: string = Buffer.from('abcdefghij0123456789').toString('hex')

/** Asks a DHT node for a sign of life (BEP 5 ping); prints the id of the node that answers. */
export function pingCommand(node: PeerAddress): string {
  const query = `${hex('d1:ad2:id20:')}${ID}${hex('e1:q4:ping1:t2:aa1:y1:qe')}`
  return udpCommand(
    node,
    query,
    "const i=m.indexOf('2:id20:')+7;console.log('node',m.toString('hex',i,i+20))",
  )
}

/** Asks a DHT node for the peers of an infohash (BEP 5 get_peers); prints their addresses. */
export function peersCommand(node: PeerAddress, infoHash: InfoHash): string {
  const target = `${hex('9:info_hash20:')}${infoHash}`
  const query = `${hex('d1:ad2:id20:')}${ID}${target}${hex('e1:q9:get_peers1:t2:aa1:y1:qe')}`
  const peers =
    "for(let i=m.indexOf('6:valuesl')+9;m.toString('latin1',i,i+2)==='6:';i+=8)" +
    "console.log([...m.subarray(i+2,i+6)].join('.')+':'+m.readUInt16BE(i+6))"
  return udpCommand(node, query, peers)
}

/** Is a TCP port open? */
export const connectCommand = ({ host, port }: PeerAddress): string =>
  `node -e "require('net').connect(${port},'${host}',function(){console.log('open');this.end()})"`

/** The options with which any command joins the fleet, as they are typed in a shell. */
export function accessOptions(dht: DhtChoice, key: FleetKey): string {
  const fleet = key.kind === 'open' ? `--fleet ${quote(key.name)}` : `--fleet-key ${quote(key.file)}`
  return `${dhtOptions(dht)} ${fleet}`
}

/** Those that name the DHT. */
export function dhtOptions(dht: DhtChoice): string {
  if (dht.kind === 'public') return '--public'
  return dht.bootstrap.map((node) => `--bootstrap ${formatPeerAddress(node)}`).join(' ')
}

const hex = (text: string): string => Buffer.from(text).toString('hex')

/** Sends one datagram, and does `work` with the answer `m`. */
function udpCommand({ host, port }: PeerAddress, query: string, work: string): string {
  return (
    `node -e "const s=require('dgram').createSocket('udp4');s.on('message',m=>{${work};process.exit()});` +
    `s.send(Buffer.from('${query}','hex'),${port},'${host}');` +
    `setTimeout(()=>{console.log('no answer');process.exit(1)},2000)"`
  )
}

/** A word of a shell command. */
export function quote(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
