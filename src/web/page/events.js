/**
 * The event log, newest first. It stands still while somebody reads it: with the pointer on it, the focus in it, or
 * scrolled away from the top.
 */
import { clock, counted, dayAndClock } from './format.js'
import { createRef, h, Memo } from './preact.js'

/** @import { FleetEvent } from '../../fleet/status.ts' */

/** @type {Readonly<Record<string, { readonly label: string, readonly kinds: readonly FleetEvent['kind'][] }>>} */
const TOPICS = {
  all: { label: 'all events', kinds: [] },
  hosts: { label: 'hosts', kinds: ['host-online', 'host-left', 'host-lost'] },
  shards: { label: 'shards', kinds: ['shard-offered', 'shard-withdrawn'] },
  copies: { label: 'copies', kinds: ['copy-started', 'copy-complete'] },
  alarms: { label: 'alarms', kinds: ['alarm', 'alarm-over'] },
}

/** @type {Readonly<Record<FleetEvent['kind'], readonly [mark: string, label: string]>>} */
const KINDS = {
  'host-online': ['good', 'host online'],
  'host-left': ['plain', 'host left'],
  'host-lost': ['warning', 'host lost'],
  'shard-offered': ['plain', 'shard offered'],
  'shard-withdrawn': ['plain', 'shard withdrawn'],
  'copy-started': ['fetching', 'copy started'],
  'copy-complete': ['good', 'copy complete'],
  alarm: ['critical', 'alarm'],
  'alarm-over': ['good', 'alarm over'],
}

/** @typedef {{ topic: string, paused: readonly FleetEvent[] | null }} EventsState `paused`: what stood there */

/** @extends {Memo<{ events: readonly FleetEvent[] }, EventsState>} */
export class Events extends Memo {
  /** @override @type {EventsState} */
  state = { topic: 'all', paused: null }
  /** @type {{ current: HTMLOListElement | null }} */
  #list = createRef()
  /** @type {{ current: HTMLSelectElement | null }} */
  #topic = createRef()
  #isPointed = false

  #settle = () => {
    const list = this.#list.current
    const isRead =
      this.#isPointed || (list !== null && (list.scrollTop > 4 || list.contains(document.activeElement)))
    if (isRead === (this.state.paused !== null)) return
    this.setState({ paused: isRead ? this.props.events : null })
  }

  #point = (/** @type {boolean} */ isPointed) => {
    this.#isPointed = isPointed
    this.#settle()
  }

  #resume = () => {
    this.#list.current?.scrollTo({ top: 0 })
    // The button goes; in the list the focus would stop it again.
    this.#topic.current?.focus()
    this.setState({ paused: null })
  }

  /** @override */
  render() {
    const { events } = this.props
    const { topic, paused } = this.state
    const kinds = TOPICS[topic]?.kinds ?? []
    const shown = (paused ?? events).filter(({ kind }) => kinds.length === 0 || kinds.includes(kind))
    const waiting = paused === null ? 0 : events.filter(({ id }) => id > (paused[0]?.id ?? 0)).length
    return h(
      'section',
      { class: 'card events', 'aria-labelledby': 'events-heading' },
      h(
        'div',
        { class: 'card-head' },
        h('h2', { id: 'events-heading' }, 'Events'),
        waiting > 0 &&
          h(
            'button',
            { type: 'button', class: 'quiet', onClick: this.#resume },
            `paused, ${counted(waiting, 'new one')}`,
          ),
        h(
          'select',
          {
            ref: this.#topic,
            'aria-label': 'Which events',
            value: topic,
            onChange: (/** @type {{ currentTarget: HTMLSelectElement }} */ { currentTarget }) =>
              this.setState({ topic: currentTarget.value }),
          },
          Object.entries(TOPICS).map(([value, { label }]) => h('option', { key: value, value }, label)),
        ),
      ),
      h(
        'ol',
        {
          ref: this.#list,
          class: 'event-list',
          tabIndex: 0,
          'aria-label': 'Events, newest first',
          onScroll: this.#settle,
          onFocusIn: this.#settle,
          onFocusOut: () => queueMicrotask(this.#settle),
          onPointerEnter: () => this.#point(true),
          onPointerLeave: () => this.#point(false),
        },
        shown.length === 0 && h('li', { class: 'event-none' }, emptyText(topic)),
        shown.map((event) => h(Line, { key: event.id, event })),
      ),
    )
  }
}

/** @param {string} topic */
const emptyText = (topic) =>
  topic === 'all' ? 'Nothing has happened yet.' : 'None of the last events is of this kind.'

/** @extends {Memo<{ event: FleetEvent }>} */
class Line extends Memo {
  /** @override */
  render() {
    const { time, kind, message } = this.props.event
    const [mark, label] = KINDS[kind] ?? ['plain', kind]
    return h(
      'li',
      { class: 'event' },
      h('time', { dateTime: time, title: dayAndClock(time) }, clock(time)),
      h('span', { class: `event-mark is-${mark}`, 'aria-hidden': 'true', title: label }),
      h(
        'span',
        { class: 'event-text' },
        h('span', { class: 'visually-hidden' }, `${label}: `),
        h('bdi', null, message),
      ),
    )
  }
}
