/**
 * The details panel: beside the matrix on wide screens, over everything on phones. Esc closes it, and the focus goes
 * back to where it came from.
 */
import { HostDetails } from './host-details.js'
import { Component, createRef, h } from './preact.js'
import { ShardDetails } from './shard-details.js'
import { showDetails } from './store.js'

/**
 * @import { Subject } from './store.js'
 * @import { FleetState } from './state.js'
 */

/** Below this the panel covers the page, which then must not be reached behind it; as in panel.css. */
const COVERS = '(max-width: 699px)'

/** @extends {Component<{ subject: Subject | null, fleet: FleetState }>} */
export class Panel extends Component {
  /** @type {{ current: HTMLDialogElement | null }} */
  #dialog = createRef()
  /** @type {Element | null} */
  #opener = null

  /**
   * @override
   * @param {{ subject: Subject | null, fleet: FleetState }} next
   */
  shouldComponentUpdate({ subject, fleet }) {
    // Before the panel takes the focus away.
    if (subject !== null && subject !== this.props.subject) {
      const focused = document.activeElement
      if (!this.#dialog.current?.contains(focused)) this.#opener = focused
    }
    return subject !== this.props.subject || (subject !== null && fleet !== this.props.fleet)
  }

  /**
   * @override
   * @param {{ subject: Subject | null }} before
   */
  componentDidUpdate({ subject: before }) {
    const { subject } = this.props
    const dialog = this.#dialog.current
    if (dialog === null || subject === before) return
    if (subject === null) {
      dialog.close()
      this.#giveFocusBack()
      return
    }
    if (!dialog.open) {
      if (matchMedia(COVERS).matches) dialog.showModal()
      else dialog.show()
    }
    dialog.scrollTop = 0
    dialog.querySelector('h2')?.focus({ preventScroll: true })
  }

  #giveFocusBack() {
    const opener = this.#opener
    this.#opener = null
    const back = opener?.isConnected ? opener : document.querySelector('.matrix [tabindex="0"]')
    if (back instanceof HTMLElement) back.focus({ preventScroll: true })
  }

  #onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Escape') return
    event.preventDefault()
    event.stopPropagation()
    showDetails(null)
  }

  /** The browser closes a modal one by itself: the page's own state says so too. */
  #onCancel = (/** @type {Event} */ event) => {
    event.preventDefault()
    showDetails(null)
  }

  /** @override */
  render() {
    const { subject, fleet } = this.props
    return h(
      'dialog',
      {
        ref: this.#dialog,
        class: 'panel',
        'aria-labelledby': 'panel-heading',
        onKeyDown: this.#onKeyDown,
        onCancel: this.#onCancel,
      },
      subject?.kind === 'shard' && h(ShardDetails, { fleet, infoHash: subject.infoHash }),
      subject?.kind === 'host' && h(HostDetails, { fleet, hostId: subject.hostId }),
    )
  }
}
