/** Everything about one shard: its hashes, who has it by which evidence, and how to get it. */
import { shardCell } from './copies.js'
import { CopyButton } from './copy.js'
import { Fact, Facts, Gone, PanelHead, Section } from './details.js'
import { clock, counted, formatBytes, formatCount } from './format.js'
import { Component, Fragment, h } from './preact.js'
import { showDetails } from './store.js'
import { Hash, Name } from './text.js'

/**
 * @import { HostRow, ShardRow } from '../feed.ts'
 * @import { FleetState } from './state.js'
 */

/** Hosts named in the panel; the matrix has all of them. */
const MAX_HOSTS = 40

/** @extends {Component<{ fleet: FleetState, infoHash: string }>} */
export class ShardDetails extends Component {
  /** @override */
  render() {
    const { fleet, infoHash } = this.props
    const shard = fleet.shardByHash.get(/** @type {ShardRow['infoHash']} */ (infoHash))
    if (shard === undefined) {
      return h(Fragment, null, h(PanelHead, { kind: 'shard', name: infoHash }), h(Gone, { kind: 'shard' }))
    }
    const { number, count, model } = shard
    const place = count === 1 ? 'shard, a model by itself' : `shard ${number} of ${count}`
    return h(
      Fragment,
      null,
      h(PanelHead, { kind: place, name: shard.name }),
      h(Get, { shard }),
      h(Section, { title: 'Seeds' }, h(Seeds, { shard }), h(Holders, { shard, hosts: fleet.hosts })),
      h(
        Section,
        { title: 'Identity' },
        h(
          Facts,
          null,
          count > 1 && h(Fact, { name: 'Model' }, h(Name, { text: model })),
          h(
            Fact,
            { name: 'Infohash' },
            h(Hash, { hex: shard.infoHash }),
            h(CopyButton, { key: shard.infoHash, text: shard.infoHash, what: 'infohash' }),
          ),
          h(
            Fact,
            { name: 'SHA-256' },
            h(Hash, { hex: shard.sha256 }),
            h(CopyButton, { key: shard.sha256, text: shard.sha256, what: 'SHA-256' }),
          ),
          h(Fact, { name: 'Length', note: `${formatCount(shard.length)} bytes` }, formatBytes(shard.length)),
          h(Fact, { name: 'Pieces' }, piecesOf(shard)),
        ),
      ),
    )
  }
}

/** @param {ShardRow} shard */
function piecesOf({ length, pieceLength }) {
  const pieces = counted(Math.ceil(length / pieceLength), 'piece')
  const isMega = pieceLength >= 2 ** 20
  return `${pieces} of ${isMega ? pieceLength / 2 ** 20 : pieceLength / 2 ** 10} ${isMega ? 'MiB' : 'KiB'}`
}

/** @param {{ shard: ShardRow }} props */
function Get({ shard: { infoHash, magnet } }) {
  const command = `gguf-swarm get ${infoHash}`
  return h(
    'section',
    { class: 'panel-section get' },
    h('h3', null, 'Get it'),
    h(
      'div',
      { class: 'get-magnet' },
      h('img', {
        class: 'qr',
        src: `/api/qr/${infoHash}.svg`,
        alt: 'QR code of the magnet link',
        width: 148,
        height: 148,
      }),
      h(
        'div',
        null,
        h('p', null, 'Paste the magnet link into any BitTorrent client, or scan it.'),
        h(CopyButton, { key: magnet, text: magnet, what: 'magnet link', label: 'Copy magnet' }),
      ),
    ),
    h(
      'div',
      { class: 'command' },
      h('code', null, command),
      h(CopyButton, { key: command, text: command, what: 'get command' }),
    ),
  )
}

/** @param {{ shard: ShardRow }} props */
function Seeds({ shard: { wholeSeeds, fetching, seen, dhtPeersEstimate } }) {
  const also = fetching.length > 0 ? `, ${formatCount(fetching.length)} fetching` : ''
  return h(
    Facts,
    null,
    h(Fact, { name: 'Heartbeats say' }, `${counted(wholeSeeds, 'seed')}${also}`),
    h(
      Fact,
      { name: 'Seen on the wire', note: seen === null ? undefined : `at ${clock(seen.at)}, by bitfield` },
      seen === null
        ? 'not looked yet'
        : `${counted(seen.wholePeers, 'seed')} among ${counted(seen.peers, 'peer')}`,
    ),
    h(
      Fact,
      { name: 'DHT estimate', note: 'an estimate: it lists the dead for up to 45 minutes' },
      dhtPeersEstimate === null ? 'not asked yet' : `about ${counted(dhtPeersEstimate, 'peer')}`,
    ),
  )
}

/** @param {{ shard: ShardRow, hosts: readonly HostRow[] }} props */
function Holders({ shard, hosts }) {
  const holders = hosts
    .map((host) => ({ host, cell: shardCell(shard, host) }))
    .filter(({ cell }) => cell.state !== 'none')
  const rest = holders.length - MAX_HOSTS
  return h(
    'ul',
    { class: 'holders', 'aria-label': 'Hosts that have it' },
    holders.slice(0, MAX_HOSTS).map(({ host, cell }) =>
      h(
        'li',
        { key: host.hostId },
        h(
          'button',
          {
            type: 'button',
            class: 'link',
            onClick: () => showDetails({ kind: 'host', hostId: host.hostId }),
          },
          h(Name, { text: host.name }),
        ),
        h('span', { class: 'holder-state' }, host.state === 'lost' ? 'host lost' : cell.words),
      ),
    ),
    rest > 0 && h('li', { class: 'more' }, `and ${counted(rest, 'more host')}`),
  )
}
