/** The heads of the matrix's columns: a host each, then seeds and size. */
import { counted, formatCount } from './format.js'
import { h, Memo } from './preact.js'
import { Name } from './text.js'

/**
 * @import { HostRow } from '../feed.ts'
 * @import { Shape } from './matrix-shape.js'
 * @import { Span } from './windowing.js'
 */

/**
 * @typedef {object} HeadProps
 * @property {readonly HostRow[]} hosts
 * @property {number} first
 * @property {number} end
 * @property {number} active column that keys start from; -1 when it is in another row
 * @property {Shape} shape
 * @property {string} summary
 */

/** @extends {Memo<HeadProps>} */
export class MatrixHead extends Memo {
  /** @override */
  render() {
    const { hosts, first, end, active, shape, summary } = this.props
    const cells = columnsOf({ first, end }, hosts.length, active).flatMap((column) => {
      const host = hosts[column]
      return host === undefined
        ? []
        : [h(HostHead, { key: host.hostId, host, column, shape, isActive: active === column + 1 })]
    })
    return h(
      'div',
      { role: 'row', 'aria-rowindex': 1, class: 'row head', style: { height: `${shape.head}px` } },
      h(
        'div',
        {
          role: 'columnheader',
          'aria-colindex': 1,
          class: 'cell-name',
          tabIndex: active === 0 ? 0 : -1,
          style: { width: `${shape.name}px` },
        },
        summary,
      ),
      cells,
      h(TailHead, {
        label: 'seeds',
        index: hosts.length + 1,
        active,
        width: shape.seeds,
        kind: 'cell-seeds',
      }),
      h(TailHead, { label: 'size', index: hosts.length + 2, active, width: shape.size, kind: 'cell-size' }),
    )
  }
}

/**
 * The columns to draw: those in sight, and the one that has the focus wherever it is.
 * @param {Span} span
 * @param {number} count
 * @param {number} active
 */
export function columnsOf({ first, end }, count, active) {
  const columns = Array.from({ length: end - first }, (_, index) => first + index)
  const column = active - 1
  if (column >= 0 && column < count && (column < first || column >= end)) columns.push(column)
  return columns
}

/** @param {{ label: string, index: number, active: number, width: number, kind: string }} props */
function TailHead({ label, index, active, width, kind }) {
  return h(
    'div',
    {
      role: 'columnheader',
      'aria-colindex': index + 1,
      class: kind,
      tabIndex: active === index ? 0 : -1,
      style: { width: `${width}px` },
    },
    label,
  )
}

/** @extends {Memo<{ host: HostRow, column: number, shape: Shape, isActive: boolean }>} */
class HostHead extends Memo {
  /** @override */
  render() {
    const { host, column, shape, isActive } = this.props
    const isLost = host.state === 'lost'
    const note = isLost ? 'lost' : noteOf(host)
    return h(
      'div',
      {
        role: 'columnheader',
        'aria-colindex': column + 2,
        'aria-label': `host ${host.name}: ${isLost ? 'lost' : `online, ${note}`}. Enter shows details`,
        class: `cell-host ${shape.isLevel ? 'is-level' : 'is-upright'} ${isLost ? 'is-lost' : ''}`,
        tabIndex: isActive ? 0 : -1,
        title: `${host.name} (${host.address}): ${note}`,
        style: { left: `${shape.name + column * shape.column}px`, width: `${shape.column}px` },
      },
      h(
        'span',
        { class: 'host-name', style: shape.isLevel ? {} : { height: `${shape.upright}px` } },
        h(Name, { text: host.name }),
      ),
      shape.isLevel && h('span', { class: 'host-note' }, note),
      !shape.isLevel && h('span', { class: 'host-dot', 'aria-hidden': 'true' }),
    )
  }
}

/** @param {HostRow} host */
const noteOf = ({ seeding, fetching }) =>
  fetching > 0 ? `${formatCount(seeding)} + ${formatCount(fetching)} coming` : counted(seeding, 'shard')
