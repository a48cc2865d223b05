/**
 * Everything the page shows, in one immutable object, and who changes it. A change asks for one drawing with the next
 * frame of the screen, however many changes come before it.
 *
 * @import { Connection } from './feed.js'
 * @import { View } from './rows.js'
 * @import { FleetState } from './state.js'
 */

/**
 * @typedef {{ readonly kind: 'shard', readonly infoHash: string } |
 *   { readonly kind: 'host', readonly hostId: string }} Subject what the details panel is about
 * @typedef {object} PageState
 * @property {FleetState | null} fleet null until the first snapshot
 * @property {Connection} connection
 * @property {View} view
 * @property {Subject | null} details
 */

/** @type {PageState} */
let state = {
  fleet: null,
  connection: { state: 'connecting' },
  view: { filter: '', sort: 'name', collapsed: new Set() },
  details: null,
}
/** @type {((state: PageState) => void) | null} */
let draw = null
let isAsked = false

/** @param {Partial<PageState>} change */
export function update(change) {
  state = { ...state, ...change }
  if (isAsked || draw === null) return
  isAsked = true
  requestAnimationFrame(() => {
    isAsked = false
    draw?.(state)
  })
}

export const current = () => state

/**
 * Draws now and after each change.
 * @param {(state: PageState) => void} drawing
 */
export function drawWith(drawing) {
  draw = drawing
  draw(state)
}

/** @param {Partial<View>} change */
export const changeView = (change) => update({ view: { ...state.view, ...change } })

/** @param {string} model */
export function toggleModel(model) {
  const collapsed = new Set(state.view.collapsed)
  if (!collapsed.delete(model)) collapsed.add(model)
  changeView({ collapsed })
}

/** @param {Subject | null} details */
export const showDetails = (details) => update({ details })
