/** What is shown of the matrix: a filter, the order, what is folded; and what the marks mean. */
import { counted } from './format.js'
import { h, Memo } from './preact.js'
import { modelKey } from './state.js'
import { changeView } from './store.js'

/**
 * @import { ModelStatus } from '../../fleet/status.ts'
 * @import { View } from './rows.js'
 */

/** @extends {Memo<{ view: View, models: readonly ModelStatus[], shards: number, shown: number }>} */
export class Toolbar extends Memo {
  /** @override */
  render() {
    const { view, models, shards, shown } = this.props
    // As in rows.js: a single file has no row that folds, unless several go by its name.
    const sets = models.filter((model) => model.count > 1 || model.shards.flat().length > 1)
    const keys = sets.map(({ name, count }) => modelKey(name, count))
    const isAnyOpen = keys.some((key) => !view.collapsed.has(key))
    const fold = () => changeView({ collapsed: new Set(isAnyOpen ? keys : []) })
    return h(
      'div',
      { class: 'toolbar' },
      h('h2', { id: 'matrix-heading' }, 'Models and hosts'),
      h(
        'p',
        { class: 'count', role: 'status' },
        view.filter.trim() === ''
          ? `${counted(models.length, 'model')}, ${counted(shards, 'shard')}`
          : `${counted(shown, 'row')} found`,
      ),
      h(
        'div',
        { class: 'controls' },
        h('input', {
          type: 'search',
          class: 'filter',
          placeholder: 'Filter by name or infohash',
          'aria-label': 'Filter models and shards by name or infohash',
          autocomplete: 'off',
          spellcheck: false,
          value: view.filter,
          onInput: (/** @type {{ currentTarget: HTMLInputElement }} */ { currentTarget }) =>
            changeView({ filter: currentTarget.value }),
        }),
        h(
          'select',
          {
            'aria-label': 'Order of models and shards',
            value: view.sort,
            onChange: (/** @type {{ currentTarget: HTMLSelectElement }} */ { currentTarget }) =>
              changeView({ sort: currentTarget.value === 'seeds' ? 'seeds' : 'name' }),
          },
          h('option', { value: 'name' }, 'by name'),
          h('option', { value: 'seeds' }, 'fewest seeds first'),
        ),
        sets.length > 0 &&
          h(
            'button',
            { type: 'button', class: 'quiet', onClick: fold },
            isAnyOpen ? 'fold all' : 'unfold all',
          ),
      ),
    )
  }
}

/** What the marks mean. */
export class Legend extends Memo {
  /** @override */
  render() {
    const marks = [
      ['whole', 'whole copy', ''],
      ['fetching', 'being fetched', '45 %'],
      ['none', 'none', ''],
      ['none is-lost', 'host lost', ''],
    ]
    return h(
      'ul',
      { class: 'legend', 'aria-label': 'Legend' },
      marks.map(([kind, label, text]) =>
        h(
          'li',
          { key: label },
          h(
            'span',
            { class: `cell is-${kind}`, 'aria-hidden': 'true' },
            h(
              'span',
              { class: 'mark' },
              text && h('span', { class: 'fill', style: { width: text.replace(' ', '') } }),
              text && h('span', { class: 'mark-text' }, text),
            ),
          ),
          label,
        ),
      ),
    )
  }
}
