/**
 * Models × hosts. Only the cells in sight are drawn, so that 200 hosts × 1,000 shards cost what a screenful costs.
 * Keys walk over cells (one of them is in the tab order), Enter or a click opens what a row or a column is about.
 */
import { MatrixHead } from './matrix-head.js'
import { moved } from './matrix-keys.js'
import { FOOT, layoutOf, longestName, revealed, sameColumns, severitiesOf } from './matrix-layout.js'
import { MatrixRow } from './matrix-row.js'
import { shapeOf } from './matrix-shape.js'
import { Component, createRef, h } from './preact.js'
import { remember } from './remember.js'
import { heightOf } from './rows.js'
import { modelKey } from './state.js'
import { showDetails, toggleModel } from './store.js'
import { visible, visibleColumns } from './windowing.js'

/**
 * @import { HostRow } from '../feed.ts'
 * @import { Alarm } from '../../fleet/status.ts'
 * @import { Place } from './matrix-keys.js'
 * @import { Row } from './rows.js'
 * @import { Subject } from './store.js'
 */

/** Drawn beyond the edges, so that scrolling by a notch finds them there. */
const SPARE_ROWS = 4
const SPARE_COLUMNS = 3

/**
 * @typedef {object} MatrixProps
 * @property {readonly Row[]} rows
 * @property {readonly HostRow[]} hosts
 * @property {readonly Alarm[]} alarms
 * @property {Subject | null} details
 * @property {string} summary
 *
 * @typedef {object} MatrixState
 * @property {number} top
 * @property {number} left
 * @property {number} width
 * @property {number} height
 * @property {{ readonly row: string, readonly column: string }} active keys of row and column, which may move
 */

/** @extends {Component<MatrixProps, MatrixState>} */
export class Matrix extends Component {
  /** @override @type {MatrixState} */
  state = { top: 0, left: 0, width: 0, height: 0, active: { row: '', column: 'name' } }
  /** @type {{ current: HTMLDivElement | null }} */
  #box = createRef()
  #observer = new ResizeObserver(() => this.#measure())
  #isScrolling = false
  #takesFocus = false
  /** Where the active cell was last, for when its row or host is gone. */
  /** @type {Place} */
  #place = { row: 0, column: 0 }
  /** @type {readonly HostRow[]} */
  #columns = []
  #layoutOf = remember(layoutOf)
  #severitiesOf = remember(severitiesOf)
  #longestName = remember(longestName)
  #shapeOf = remember(shapeOf)

  /** @override */
  componentDidMount() {
    if (this.#box.current) this.#observer.observe(this.#box.current)
    this.#measure()
  }

  /** @override */
  componentWillUnmount() {
    this.#observer.disconnect()
  }

  /** @override */
  componentDidUpdate() {
    if (!this.#takesFocus) return
    this.#takesFocus = false
    const { row, column } = this.#place
    const place = `[aria-rowindex="${row + 2}"] > [aria-colindex="${column + 1}"]`
    const found = this.#box.current?.querySelector(place)
    if (found instanceof HTMLElement) found.focus({ preventScroll: true })
  }

  #measure() {
    const box = this.#box.current
    if (box === null) return
    const { clientWidth: width, clientHeight: height, scrollTop: top, scrollLeft: left } = box
    this.setState({ width, height, top, left })
  }

  #onScroll = () => {
    if (this.#isScrolling) return
    this.#isScrolling = true
    requestAnimationFrame(() => {
      this.#isScrolling = false
      this.#measure()
    })
  }

  #layout() {
    return this.#layoutOf(this.props.rows)
  }

  #shape() {
    const { hosts } = this.props
    return this.#shapeOf(this.state.width, hosts.length, this.#longestName(hosts))
  }

  /** @returns {Place} */
  #activePlace() {
    const { rows, hosts } = this.props
    const { active } = this.state
    const row = active.row === 'head' ? -1 : (this.#layout().indexes.get(active.row) ?? -2)
    const tails = ['seeds', 'size'].indexOf(active.column)
    const host = hosts.findIndex(({ hostId }) => hostId === active.column)
    const column =
      active.column === 'name' ? 0 : tails >= 0 ? hosts.length + 1 + tails : host >= 0 ? host + 1 : -1
    this.#place = {
      row: row === -2 ? Math.max(rows.length > 0 ? 0 : -1, Math.min(this.#place.row, rows.length - 1)) : row,
      column: column === -1 ? Math.min(this.#place.column, hosts.length + 2) : column,
    }
    return this.#place
  }

  /** @param {Place} place */
  #activate({ row, column }) {
    const { rows, hosts } = this.props
    const columns = ['name', ...hosts.map(({ hostId }) => hostId), 'seeds', 'size']
    this.#place = { row, column }
    this.setState({ active: { row: rows[row]?.key ?? 'head', column: columns[column] ?? 'name' } })
  }

  /** @param {Event} event */
  #placeOf({ target }) {
    const cell = target instanceof Element ? target.closest('[aria-colindex]') : null
    const row = cell?.closest('[aria-rowindex]')
    if (!cell || !row) return null
    return {
      row: Number(row.getAttribute('aria-rowindex')) - 2,
      column: Number(cell.getAttribute('aria-colindex')) - 1,
    }
  }

  #onFocus = (/** @type {FocusEvent} */ event) => {
    const place = this.#placeOf(event)
    if (place !== null) this.#activate(place)
  }

  #onClick = (/** @type {MouseEvent} */ event) => {
    const place = this.#placeOf(event)
    if (place !== null) this.#open(place)
  }

  #onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const place = this.#placeOf(event)
    if (place === null) return
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault()
      this.#open(place)
      return
    }
    const { rows, hosts } = this.props
    const page = Math.max(1, Math.floor(this.state.height / 40) - 3)
    const next = moved(event, place, { rows: rows.length, columns: hosts.length + 3, page })
    if (next === null) return
    event.preventDefault()
    this.#activate(next)
    this.#reveal(next)
    this.#takesFocus = true
    this.#measure()
  }

  /** @param {Place} place */
  #open({ row, column }) {
    const { rows, hosts } = this.props
    const host = hosts[column - 1]
    if (row === -1) {
      if (host !== undefined) showDetails({ kind: 'host', hostId: host.hostId })
      return
    }
    const found = rows[row]
    if (found?.kind === 'model') toggleModel(modelKey(found.model.name, found.model.count))
    if (found?.kind === 'shard') showDetails({ kind: 'shard', infoHash: found.shard.infoHash })
  }

  /** @param {Place} place */
  #reveal(place) {
    const box = this.#box.current
    if (box === null) return
    const { top, left } = revealed(place, box, this.#layout().offsets, this.#shape(), this.props.hosts.length)
    box.scrollTop = top
    box.scrollLeft = left
  }

  /** @override */
  render() {
    const { rows, hosts, summary } = this.props
    const { width } = this.state
    const { offsets } = this.#layout()
    const shape = this.#shape()
    return h(
      'div',
      {
        ref: this.#box,
        class: `matrix ${shape.hasFixedTail ? 'has-fixed-tail' : ''} ${shape.isTight ? 'is-tight' : ''}`,
        role: 'grid',
        'aria-label': 'Models and hosts',
        'aria-rowcount': rows.length + 1,
        'aria-colcount': hosts.length + 3,
        onScroll: this.#onScroll,
        onClick: this.#onClick,
        onKeyDown: this.#onKeyDown,
        onFocusIn: this.#onFocus,
      },
      h(
        'div',
        {
          role: 'presentation',
          class: 'matrix-body',
          style: { width: `${shape.total}px`, height: `${(offsets.at(-1) ?? 0) + shape.head + FOOT}px` },
        },
        width > 0 && this.#drawn(shape, summary),
      ),
    )
  }

  /**
   * @param {import('./matrix-shape.js').Shape} shape
   * @param {string} summary
   */
  #drawn(shape, summary) {
    const { rows, hosts, alarms, details } = this.props
    const { top, left, width, height } = this.state
    const { offsets } = this.#layout()
    const active = this.#activePlace()
    const span = visible(offsets, top, top + height - shape.head, SPARE_ROWS)
    const columns = visibleColumns(hosts.length, shape.column, left, left + width - shape.name, SPARE_COLUMNS)
    const shown = Array.from({ length: span.end - span.first }, (_, index) => span.first + index)
    // The row that has the focus stays, wherever the rest was scrolled to.
    if (active.row >= 0 && (active.row < span.first || active.row >= span.end)) shown.push(active.row)
    const severities = this.#severitiesOf(alarms)
    this.#columns = sameColumns(this.#columns, hosts)
    const openHash = details?.kind === 'shard' ? details.infoHash : ''
    return [
      h(MatrixHead, {
        key: 'head',
        hosts,
        ...columns,
        active: active.row === -1 ? active.column : -1,
        shape,
        summary,
      }),
      ...shown.flatMap((index) => {
        const row = rows[index]
        if (row === undefined) return []
        const alarm = row.kind === 'shard' ? severities.get(row.shard.infoHash) : undefined
        const props = {
          key: row.key,
          row,
          index,
          top: (offsets[index] ?? 0) + shape.head,
          height: heightOf(row),
          hosts: this.#columns,
          ...columns,
          active: active.row === index ? active.column : -1,
          shape,
          isOpen: row.kind === 'shard' && row.shard.infoHash === openHash,
        }
        return [h(MatrixRow, { ...props, alarm: alarm ?? '' })]
      }),
    ]
  }
}
