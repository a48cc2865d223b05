/** One row of the matrix: a model, a shard, or a shard that nobody has. */
import { cellLabel, modelCell, shardCell } from './copies.js'
import { counted, formatBytes, formatCount } from './format.js'
import { columnsOf } from './matrix-head.js'
import { Fragment, h, Memo } from './preact.js'
import { summaryOf } from './rows.js'
import { FileName, Name } from './text.js'

/**
 * @import { HostRow } from '../feed.ts'
 * @import { ModelStatus } from '../../fleet/status.ts'
 * @import { CellState } from './copies.js'
 * @import { Shape } from './matrix-shape.js'
 * @import { ModelRow, Row } from './rows.js'
 */

/**
 * @typedef {object} RowProps
 * @property {Row} row
 * @property {number} index from 0
 * @property {number} top
 * @property {number} height
 * @property {readonly HostRow[]} hosts
 * @property {number} first column in sight
 * @property {number} end
 * @property {number} active column that has the focus, -1 when it is in another row
 * @property {Shape} shape
 * @property {boolean} isOpen whether the details are about it
 * @property {'critical' | 'warning' | ''} alarm
 */

/** @extends {Memo<RowProps>} */
export class MatrixRow extends Memo {
  /** @override */
  render() {
    const { row, index, top, height, hosts, first, end, active, shape, isOpen, alarm } = this.props
    return h(
      'div',
      {
        role: 'row',
        'aria-rowindex': index + 2,
        class: `row is-${row.kind} ${isOpen ? 'is-open' : ''} ${isFirstOfGroup(row) ? 'is-group' : ''}`,
        style: { top: `${top}px`, height: `${height}px` },
      },
      h(NameCell, { row, width: shape.name, isActive: active === 0 }),
      columnsOf({ first, end }, hosts.length, active).map((column) => {
        const host = hosts[column]
        return host && cell(row, host, column, shape, active === column + 1)
      }),
      tail(row, 'seeds', hosts.length + 1, active, shape, alarm),
      tail(row, 'size', hosts.length + 2, active, shape, ''),
    )
  }
}

/** @param {Row} row */
const isFirstOfGroup = (row) => row.kind === 'model' || (row.kind === 'shard' && row.isSingle)

const EMPTY = /** @type {CellState} */ ({ state: 'none', text: '', level: 0, words: 'none' })

/**
 * @param {Row} row
 * @param {HostRow} host
 * @returns {CellState}
 */
function cellOf(row, host) {
  switch (row.kind) {
    case 'model':
      return modelCell(row.shards, row.model.count, host)
    case 'shard':
      return shardCell(row.shard, host)
    case 'missing':
      return EMPTY
  }
}

/** @param {Row} row */
export const nameOf = (row) =>
  row.kind === 'shard'
    ? row.shard.name
    : row.kind === 'model'
      ? `model ${row.model.name}`
      : `shard ${row.number}`

/**
 * @param {Row} row
 * @param {HostRow} host
 * @param {number} column
 * @param {Shape} shape
 * @param {boolean} isActive
 */
function cell(row, host, column, shape, isActive) {
  const found = cellOf(row, host)
  const label = cellLabel(host, nameOf(row), found)
  return h(
    'div',
    {
      key: host.hostId,
      role: 'gridcell',
      'aria-colindex': column + 2,
      'aria-label': label,
      title: label,
      class: `cell is-${found.state} ${host.state === 'lost' ? 'is-lost' : ''}`,
      tabIndex: isActive ? 0 : -1,
      style: { left: `${shape.name + column * shape.column}px`, width: `${shape.column}px` },
    },
    h(
      'span',
      { class: 'mark' },
      found.state === 'fetching' && h('span', { class: 'fill', style: { width: `${found.level * 100}%` } }),
      found.text && h(MarkText, { text: found.text, isLabel: row.kind !== 'model' }),
    ),
  )
}

/**
 * `45 %` is part of what the cell is called; `3/4` is drawn by the style sheet, as it is called `3 of 4 shards`.
 * @param {{ text: string, isLabel: boolean }} props
 */
function MarkText({ text, isLabel }) {
  return isLabel
    ? h('span', { class: 'mark-text' }, text)
    : h('span', { class: 'mark-text', 'data-text': text })
}

/**
 * @param {Row} row
 * @param {'seeds' | 'size'} kind
 * @param {number} index
 * @param {number} active
 * @param {Shape} shape
 * @param {string} alarm
 */
function tail(row, kind, index, active, shape, alarm) {
  const { text, words } = kind === 'seeds' ? seedsOf(row) : sizeOf(row)
  return h(
    'div',
    {
      key: kind,
      role: 'gridcell',
      'aria-colindex': index + 1,
      'aria-label': words,
      title: words,
      class: `cell-${kind} ${alarm && `is-${alarm}`}`,
      tabIndex: active === index ? 0 : -1,
      style: { width: `${shape[kind]}px` },
    },
    alarm && h('span', { class: `alarm-icon is-${alarm}`, 'aria-hidden': 'true' }),
    text,
  )
}

/** @param {Row} row */
function seedsOf(row) {
  switch (row.kind) {
    case 'model':
      return {
        text: formatCount(row.model.weakestSeeds),
        words: `weakest shard has ${counted(row.model.weakestSeeds, 'seed')}`,
      }
    case 'shard':
      return { text: formatCount(row.shard.wholeSeeds), words: counted(row.shard.wholeSeeds, 'seed') }
    case 'missing':
      return { text: '0', words: '0 seeds' }
  }
}

/** @param {Row} row */
function sizeOf(row) {
  if (row.kind === 'missing') return { text: '', words: 'size unknown' }
  const length = row.kind === 'model' ? row.model.length : row.shard.length
  return { text: formatBytes(length), words: `${formatBytes(length)}, ${formatCount(length)} bytes` }
}

/** @extends {Memo<{ row: Row, width: number, isActive: boolean }>} */
class NameCell extends Memo {
  /** @override */
  render() {
    const { row, width, isActive } = this.props
    return h(
      'div',
      {
        role: 'rowheader',
        'aria-colindex': 1,
        ...(row.kind === 'model' ? { 'aria-expanded': !row.collapsed } : {}),
        class: 'cell-name',
        tabIndex: isActive ? 0 : -1,
        style: { width: `${width}px` },
      },
      row.kind === 'model' ? modelName(row) : row.kind === 'shard' ? shardName(row) : missingName(row),
    )
  }
}

/** @param {ModelRow} row */
function modelName({ model, collapsed }) {
  return h(
    Fragment,
    null,
    h('span', { class: `chevron ${collapsed ? '' : 'is-down'}`, 'aria-hidden': 'true' }),
    h(
      'span',
      { class: 'two-lines' },
      h(
        'span',
        { class: 'line' },
        h(WholeMark, { model }),
        h(Name, { text: model.name, class: 'model-name' }),
      ),
      h(
        'span',
        { class: 'line note' },
        h('span', { class: 'ellipsis' }, summaryOf(model)),
        h(Tags, { model }),
      ),
    ),
  )
}

/** @param {{ model: ModelStatus }} props */
function WholeMark({ model }) {
  const isWhole = model.missing.length === 0
  return h(
    'span',
    {
      class: `whole-mark ${isWhole ? 'is-whole' : 'is-incomplete'}`,
      title: isWhole ? 'whole' : 'incomplete',
    },
    h('span', { class: 'visually-hidden' }, isWhole ? 'whole: ' : 'incomplete: '),
  )
}

/** @param {{ model: ModelStatus }} props */
function Tags({ model: { architecture, sizeLabel } }) {
  return h(
    Fragment,
    null,
    sizeLabel && h('bdi', { class: 'tag' }, sizeLabel),
    architecture && h('bdi', { class: 'tag' }, architecture),
  )
}

/** @param {Extract<Row, { kind: 'shard' }>} row */
function shardName({ model, shard, isWeakest, isSingle }) {
  if (isSingle) {
    return h(
      'span',
      { class: 'two-lines' },
      h(
        'span',
        { class: 'line' },
        h(WholeMark, { model }),
        h(Name, { text: shard.name, class: 'model-name' }),
      ),
      h(
        'span',
        { class: 'line note' },
        h('span', { class: 'ellipsis' }, `single file, ${counted(shard.wholeSeeds, 'seed')}`),
        h(Tags, { model }),
      ),
    )
  }
  return h(
    Fragment,
    null,
    h(Ordinal, { number: shard.number, count: shard.count }),
    h(FileName, { text: shard.name }),
    isWeakest && h('span', { class: 'weakest' }, 'weakest'),
  )
}

/**
 * For the eye; the file's name says it again.
 * @param {{ number: number, count: number }} props
 */
function Ordinal({ number, count }) {
  return h('span', { class: 'ordinal', 'aria-hidden': 'true' }, String(number), h('span', null, `/${count}`))
}

/** @param {Extract<Row, { kind: 'missing' }>} row */
function missingName({ model, number }) {
  return h(
    Fragment,
    null,
    h(Ordinal, { number: number, count: model.count }),
    h('span', { class: 'visually-hidden' }, `shard ${number} of ${model.count}: `),
    h('span', { class: 'nobody' }, 'on no host'),
  )
}
