/** What both kinds of details are put together from. */
import { h } from './preact.js'
import { showDetails } from './store.js'
import { Name } from './text.js'

/** @import { ComponentChildren } from 'preact' */

/** @param {{ kind: string, name: string }} props */
export function PanelHead({ kind, name }) {
  return h(
    'header',
    { class: 'panel-head' },
    h('p', { class: 'panel-kind' }, kind),
    h('h2', { id: 'panel-heading', tabIndex: -1 }, h(Name, { text: name })),
    h(
      'button',
      {
        type: 'button',
        class: 'close',
        'aria-label': 'Close details',
        title: 'Close (Esc)',
        onClick: () => showDetails(null),
      },
      h('span', { 'aria-hidden': 'true' }, '×'),
    ),
  )
}

/** @param {{ title: string, children?: ComponentChildren }} props */
export function Section({ title, children }) {
  return h('section', { class: 'panel-section' }, h('h3', null, title), children)
}

/**
 * Names and values, in two columns.
 * @param {{ children?: ComponentChildren }} props
 */
export function Facts({ children }) {
  return h('dl', { class: 'facts' }, children)
}

/** @param {{ name: string, children?: ComponentChildren, note?: string | undefined }} props */
export function Fact({ name, children, note }) {
  return h(
    'div',
    { class: 'fact' },
    h('dt', null, name),
    h('dd', null, children, note && h('span', { class: 'fact-note' }, note)),
  )
}

/** @param {{ kind: string }} props */
export function Gone({ kind }) {
  return h('p', { class: 'gone' }, `This ${kind} is gone: nobody in the fleet speaks of it any more.`)
}
