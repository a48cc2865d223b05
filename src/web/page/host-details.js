/** Everything about one host, and what it has. */
import { shardCell } from './copies.js'
import { CopyButton } from './copy.js'
import { Fact, Facts, Gone, PanelHead, Section } from './details.js'
import { clock, counted, dayAndClock, formatBytes, formatRate, formatSeconds } from './format.js'
import { Component, Fragment, h } from './preact.js'
import { showDetails } from './store.js'
import { FileName, Hash } from './text.js'

/**
 * @import { HostRow } from '../feed.ts'
 * @import { FleetState } from './state.js'
 */

/** Shards listed in the panel; the matrix has all of them. */
const MAX_SHARDS = 100

/** @extends {Component<{ fleet: FleetState, hostId: string }>} */
export class HostDetails extends Component {
  /** @override */
  render() {
    const { fleet, hostId } = this.props
    const host = fleet.hosts.find((known) => known.hostId === hostId)
    if (host === undefined) {
      return h(Fragment, null, h(PanelHead, { kind: 'host', name: hostId }), h(Gone, { kind: 'host' }))
    }
    const isLost = host.state === 'lost'
    const since = formatSeconds((Date.parse(fleet.time) - Date.parse(host.onlineSince)) / 1000)
    return h(
      Fragment,
      null,
      h(PanelHead, { kind: isLost ? 'host, lost' : 'host', name: host.name }),
      h(
        Section,
        { title: 'Now' },
        h(
          Facts,
          null,
          h(
            Fact,
            { name: 'State', note: `last message at ${clock(host.seenAt)}` },
            h('span', { class: `state is-${host.state}` }, host.state),
          ),
          h(Fact, { name: 'Online since', note: isLost ? undefined : since }, dayAndClock(host.onlineSince)),
          h(Fact, { name: 'Up' }, formatRate(host.uploadBytesPerSecond)),
          h(Fact, { name: 'Down' }, formatRate(host.downloadBytesPerSecond)),
          h(
            Fact,
            { name: 'Free disk' },
            host.freeDiskBytes === null ? 'unknown' : formatBytes(host.freeDiskBytes),
          ),
          h(Fact, { name: 'Replicates' }, host.replicating ? 'yes' : 'no'),
          host.rottenShards !== undefined &&
            h(
              Fact,
              {
                name: 'Files re-checked',
                note: host.rottenShards > 0 ? `${host.rottenShards} rotten` : undefined,
              },
              host.recheckedAt === undefined ? 'not yet' : dayAndClock(host.recheckedAt),
            ),
        ),
      ),
      h(
        Section,
        { title: 'Identity' },
        h(
          Facts,
          null,
          h(
            Fact,
            { name: 'Address' },
            h('code', null, h('bdi', null, host.address)),
            h(CopyButton, { key: host.hostId, text: host.address, what: 'address' }),
          ),
          h(Fact, { name: 'Version' }, h('bdi', null, host.version)),
          h(Fact, { name: 'Host id' }, h(Hash, { hex: host.hostId })),
        ),
      ),
      h(
        Section,
        {
          title: `Shards: ${host.seeding} whole${host.fetching > 0 ? `, ${host.fetching} being fetched` : ''}`,
        },
        h(Shards, { fleet, host }),
      ),
    )
  }
}

/** @param {{ fleet: FleetState, host: HostRow }} props */
function Shards({ fleet, host }) {
  const held = [...fleet.shardsByModel.values()]
    .flat()
    .map((shard) => ({ shard, cell: shardCell(shard, host) }))
    .filter(({ cell }) => cell.state !== 'none')
  const rest = held.length - MAX_SHARDS
  return h(
    'ul',
    { class: 'holders' },
    held.slice(0, MAX_SHARDS).map(({ shard, cell }) =>
      h(
        'li',
        { key: shard.infoHash },
        h(
          'button',
          {
            type: 'button',
            class: 'link',
            onClick: () => showDetails({ kind: 'shard', infoHash: shard.infoHash }),
          },
          h(FileName, { text: shard.name }),
        ),
        h('span', { class: 'holder-state' }, cell.words),
      ),
    ),
    rest > 0 && h('li', { class: 'more' }, `and ${counted(rest, 'more shard')}`),
  )
}
