/** What a person should look at, first thing on the page; calm when there is nothing. */
import { announce } from './announce.js'
import { clock, counted, dayAndClock } from './format.js'
import { h, Memo } from './preact.js'
import { showDetails } from './store.js'

/** @import { Alarm, AlarmKind } from '../../fleet/status.ts' */

/** So many of one kind are shown as they are; more become one line that opens. */
const MAX_OPEN = 3
/** More lines in an opened group would only be scrolled past. */
const MAX_LINES = 100

/** @type {Readonly<Record<AlarmKind, string>>} */
const KINDS = {
  'no-seeds': 'no seeds',
  'few-seeds': 'few seeds',
  'host-lost': 'host lost',
  'name-conflict': 'name conflict',
  'sha256-conflict': 'SHA-256 conflict',
  'missing-shard': 'missing shard',
  rotten: 'rotten',
}

/** @extends {Memo<{ alarms: readonly Alarm[] }>} */
export class Alarms extends Memo {
  /**
   * @override
   * @param {{ alarms: readonly Alarm[] }} before
   */
  componentDidUpdate({ alarms: before }) {
    const { alarms } = this.props
    if (alarms === before) return
    const known = new Set(before.map(idOf))
    const [first, ...others] = alarms.filter((alarm) => !known.has(idOf(alarm)))
    if (first !== undefined) {
      announce(
        `Alarm: ${first.message}${others.length > 0 ? `, and ${counted(others.length, 'more alarm')}` : ''}`,
      )
    } else if (alarms.length === 0 && before.length > 0) announce('No alarms any more')
  }

  /** @override */
  render() {
    const { alarms } = this.props
    const heading = h('h2', { id: 'alarms-heading', class: 'visually-hidden' }, 'Alarms')
    if (alarms.length === 0) {
      return h(
        'section',
        { class: 'alarms is-calm', 'aria-labelledby': 'alarms-heading' },
        heading,
        h('p', null, h('span', { class: 'calm-mark', 'aria-hidden': 'true' }), 'No alarms'),
      )
    }
    return h(
      'section',
      { class: 'alarms', 'aria-labelledby': 'alarms-heading' },
      heading,
      h(
        'ul',
        null,
        [...Map.groupBy(alarms, ({ kind }) => kind)].map(([, group]) => linesOf(group)),
      ),
    )
  }
}

/** @param {readonly Alarm[]} group of one kind */
const linesOf = (group) =>
  group.length <= MAX_OPEN
    ? group.map((alarm) => h(Line, { key: idOf(alarm), alarm }))
    : h(Group, { key: group[0]?.kind, group })

/** @param {Alarm} alarm */
const idOf = ({ kind, infoHash, hostId, model, since }) => [kind, infoHash, hostId, model, since].join(' ')

/** @extends {Memo<{ alarm: Alarm }>} */
class Line extends Memo {
  /** @override */
  render() {
    const { kind, severity, message, since, infoHash, hostId } = this.props.alarm
    const subject =
      infoHash !== undefined
        ? { kind: /** @type {const} */ ('shard'), infoHash }
        : hostId !== undefined
          ? { kind: /** @type {const} */ ('host'), hostId }
          : null
    return h(
      'li',
      { class: `alarm is-${severity}` },
      h(Mark, { kind, severity }),
      h('bdi', { class: 'alarm-message' }, message),
      h('time', { dateTime: since, title: `since ${dayAndClock(since)}` }, `since ${clock(since)}`),
      subject &&
        h('button', { type: 'button', class: 'quiet', onClick: () => showDetails(subject) }, 'details'),
    )
  }
}

/** @param {{ kind: AlarmKind, severity: Alarm['severity'] }} props */
function Mark({ kind, severity }) {
  return h(
    'span',
    { class: 'alarm-kind' },
    h('span', { class: `alarm-icon is-${severity}`, 'aria-hidden': 'true' }),
    h('span', { class: 'visually-hidden' }, `${severity}: `),
    KINDS[kind] ?? kind,
  )
}

/** @extends {Memo<{ group: readonly Alarm[] }>} */
class Group extends Memo {
  /** @override */
  render() {
    const { group } = this.props
    const [first] = group
    if (first === undefined) return null
    const rest = group.length - MAX_LINES
    return h(
      'li',
      { class: `alarm-group is-${first.severity}` },
      h(
        'details',
        null,
        h('summary', null, h(Mark, first), h('span', null, summaryOf(first.kind, group.length))),
        h(
          'ul',
          null,
          group.slice(0, MAX_LINES).map((alarm) => h(Line, { key: idOf(alarm), alarm })),
          rest > 0 && h('li', { class: 'alarm-more' }, `and ${rest} more`),
        ),
      ),
    )
  }
}

/**
 * @param {AlarmKind} kind
 * @param {number} count
 */
function summaryOf(kind, count) {
  switch (kind) {
    case 'no-seeds':
      return `${counted(count, 'shard')} that nobody online has whole`
    case 'few-seeds':
      return `${counted(count, 'shard')} with fewer whole copies than wanted`
    case 'host-lost':
      return `${counted(count, 'host')} lost`
    case 'name-conflict':
      return `${counted(count, 'name')} with different contents`
    case 'sha256-conflict':
      return `${counted(count, 'claim')} of a SHA-256 that others deny`
    case 'missing-shard':
      return `${counted(count, 'model')} with shards on no host`
    case 'rotten':
      return `${counted(count, 'host')} with bytes that changed on disk`
    default:
      return counted(count, 'alarm')
  }
}
