/** The first line of the page: which fleet, how it is, and whether what is shown is live. */
import { counted, formatBytes, formatCount, formatRate } from './format.js'
import { Fragment, h, Memo } from './preact.js'
import { Name } from './text.js'
import { ThemeToggle } from './theme-toggle.js'

/**
 * @import { ComponentChildren } from 'preact'
 * @import { Alarm, CoordinatorStatus, FleetName, FleetTotals } from '../../fleet/status.ts'
 * @import { Connection } from './feed.js'
 */

/** @param {{ fleet: FleetName | null, connection: Connection }} props */
export function Masthead({ fleet, connection }) {
  return h(
    'div',
    { class: 'masthead' },
    h(
      'h1',
      null,
      h('img', { src: '/page/icon.svg', alt: '', width: 22, height: 22 }),
      h('span', { class: 'product' }, 'gguf-swarm'),
      fleet && h('span', { class: 'fleet' }, fleetLabel(fleet)),
    ),
    h('div', { class: 'masthead-end' }, h(ConnectionMark, { connection }), h(ThemeToggle, null)),
  )
}

/** @param {FleetName} fleet */
function fleetLabel({ name, keyed, rendezvous }) {
  const kind = keyed ? 'keyed fleet' : 'open fleet'
  return h(
    Fragment,
    null,
    h('span', { class: 'fleet-kind' }, kind),
    ' ',
    name === null
      ? h('code', { title: `rendezvous infohash ${rendezvous}` }, rendezvous.slice(0, 8))
      : h(Name, { text: name }),
  )
}

const CONNECTION = {
  connecting: ['connecting', 'Connecting to the live feed'],
  live: ['live', 'Live: what you see is now'],
  lost: ['offline', 'The connection is lost'],
}

/** @param {{ connection: Connection }} props */
function ConnectionMark({ connection }) {
  const [label, title] = CONNECTION[connection.state]
  return h(
    'span',
    { class: `connection is-${connection.state}`, title },
    h('span', { class: 'connection-dot', 'aria-hidden': 'true' }),
    label,
  )
}

/**
 * @typedef {object} FiguresProps
 * @property {FleetTotals} totals
 * @property {readonly Alarm[]} alarms
 * @property {CoordinatorStatus} coordinator
 */

/** @extends {Memo<FiguresProps>} */
export class Figures extends Memo {
  /** @override */
  render() {
    const { totals, alarms, coordinator } = this.props
    const possible = totals.shards * totals.hostsOnline
    const isWhole = totals.wholeModels === totals.models
    const critical = alarms.filter(({ severity }) => severity === 'critical').length
    return h(
      'dl',
      { class: 'figures' },
      h(Figure, {
        label: 'Hosts',
        value: formatCount(totals.hostsOnline),
        unit: 'online',
        note: totals.hostsLost > 0 ? `${formatCount(totals.hostsLost)} lost` : dhtNote(coordinator),
        tone: totals.hostsLost > 0 || coordinator.isolated ? 'warning' : '',
      }),
      h(Figure, {
        label: 'Copies',
        value: formatCount(totals.copies),
        unit: `of ${formatCount(possible)}`,
        note: `${formatBytes(totals.copiesBytes)} in all`,
        level: possible === 0 ? 0 : totals.copies / possible,
      }),
      h(Figure, {
        label: 'Models',
        value: formatCount(totals.wholeModels),
        unit: `of ${formatCount(totals.models)} whole`,
        note: isWhole
          ? `${counted(totals.shards, 'shard')}, ${formatBytes(totals.bytes)}`
          : `${formatCount(totals.models - totals.wholeModels)} incomplete`,
        tone: isWhole ? '' : 'warning',
      }),
      h(RateFigure, {
        label: 'Up',
        mark: 'up',
        rate: totals.uploadBytesPerSecond,
        note: 'sent by all hosts',
      }),
      h(RateFigure, {
        label: 'Down',
        mark: 'down',
        rate: totals.downloadBytesPerSecond,
        note: 'received by all hosts',
      }),
      h(Figure, {
        label: 'Alarms',
        value: alarms.length === 0 ? 'none' : formatCount(alarms.length),
        unit: '',
        note:
          alarms.length === 0
            ? 'all is well'
            : critical > 0
              ? `${formatCount(critical)} critical`
              : 'no critical one',
        tone: critical > 0 ? 'critical' : alarms.length > 0 ? 'warning' : 'good',
      }),
    )
  }
}

/** @param {CoordinatorStatus} coordinator */
const dhtNote = ({ isolated, dhtNodes }) =>
  isolated ? 'no DHT node answers' : `${counted(dhtNodes, 'DHT node')} known`

/** @param {{ label: string, mark: 'up' | 'down', rate: number, note: string }} props */
function RateFigure({ label, mark, rate, note }) {
  const [value = '', unit = ''] = formatRate(rate).split(' ')
  return h(Figure, { label, value, unit, note, mark })
}

/**
 * @param {{ label: string, value: string, unit: string, note: ComponentChildren, tone?: string, level?: number,
 *   mark?: string }} props
 */
function Figure({ label, value, unit, note, tone = '', level, mark }) {
  return h(
    'div',
    { class: `figure ${tone && `is-${tone}`}` },
    h('dt', null, mark && h('span', { class: `arrow is-${mark}`, 'aria-hidden': 'true' }), label),
    h('dd', null, h('span', { class: 'value' }, value), ' ', h('span', { class: 'unit' }, unit)),
    h(
      'dd',
      { class: 'note' },
      level !== undefined &&
        h(
          'span',
          { class: 'level', 'aria-hidden': 'true' },
          h('span', { style: { width: `${level * 100}%` } }),
        ),
      note,
    ),
  )
}
