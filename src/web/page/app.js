/** The whole page, from its parts. */
import { Alarms } from './alarms.js'
import { Banner } from './banner.js'
import { Chart } from './chart.js'
import { Events } from './events.js'
import { counted } from './format.js'
import { Figures, Masthead } from './header.js'
import { Matrix } from './matrix.js'
import { Panel } from './panel.js'
import { Component, Fragment, h } from './preact.js'
import { heightOf, keepSame, rowsOf } from './rows.js'
import { Legend, Toolbar } from './toolbar.js'

/**
 * @import { Row } from './rows.js'
 * @import { FleetState } from './state.js'
 * @import { PageState } from './store.js'
 */

/** Height of rows up to which the chart fits below the matrix; pixels. */
const SMALL = 330

/** @extends {Component<PageState>} */
export class App extends Component {
  /** @type {readonly Row[]} */
  #rows = []
  /** @type {readonly unknown[]} */
  #from = []

  /**
   * Worked out again only when something that they are made from changed.
   * @param {FleetState} fleet
   */
  #rowsOf(fleet) {
    const { view } = this.props
    const from = [fleet.models, fleet.shardsByModel, view]
    if (from.some((part, index) => part !== this.#from[index])) {
      this.#rows = keepSame(this.#rows, rowsOf(fleet, view))
      this.#from = from
    }
    return this.#rows
  }

  /** @override */
  render() {
    const { fleet, connection } = this.props
    return h(
      Fragment,
      null,
      h(
        'header',
        { class: 'top' },
        h(Masthead, { fleet: fleet?.fleet ?? null, connection }),
        h(Banner, { connection, time: fleet?.time ?? null }),
        fleet && h(Figures, fleet),
      ),
      h(
        'main',
        { id: 'main', tabIndex: -1, class: this.#classes() },
        fleet === null
          ? h('p', { class: 'waiting' }, 'Waiting for the first picture of the fleet…')
          : this.#fleet(fleet),
      ),
    )
  }

  #classes() {
    const { connection, details, fleet } = this.props
    const height = fleet === null ? 0 : this.#rowsOf(fleet).reduce((sum, row) => sum + heightOf(row), 0)
    return [
      connection.state === 'lost' ? 'is-stale' : '',
      details === null ? '' : 'has-panel',
      height < SMALL ? 'is-small' : '',
    ].join(' ')
  }

  /** @param {FleetState} fleet */
  #fleet(fleet) {
    const { view, details } = this.props
    const { hosts, models, alarms, totals } = fleet
    const rows = this.#rowsOf(fleet)
    return h(
      Fragment,
      null,
      h(Alarms, { alarms }),
      h(
        'section',
        { class: 'card matrix-card', 'aria-labelledby': 'matrix-heading' },
        h(Toolbar, { view, models, shards: totals.shards, shown: rows.length }),
        rows.length === 0 && h('p', { class: 'empty' }, emptyText(fleet, view.filter)),
        (rows.length > 0 || hosts.length > 0) &&
          h(Matrix, { rows, hosts, alarms, details, summary: counted(hosts.length, 'host') }),
        h(Legend, null),
      ),
      h(Chart, { rates: fleet.rates }),
      h(Events, { events: fleet.events }),
      h(Panel, { subject: details, fleet }),
    )
  }
}

/**
 * @param {FleetState} fleet
 * @param {string} filter
 */
function emptyText({ hosts, shardByHash }, filter) {
  if (shardByHash.size > 0 && filter.trim() !== '') return 'No model and no shard goes by that name.'
  if (hosts.length === 0) return 'No host yet. Start one with: gguf-swarm seed DIR'
  return 'No shard yet. Put a .gguf file into the folder of a host.'
}
