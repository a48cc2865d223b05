/** A button that copies a text, and says so. */
import { announce } from './announce.js'
import { Component, h } from './preact.js'

/** How long the button says `copied`. */
const SAID_MS = 2_000

/**
 * The clipboard of secure pages (localhost is one), else the old way, which still works over plain HTTP.
 * @param {string} text
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyBySelection(text)
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const focused = document.activeElement
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'visually-hidden'
  // Inside an open modal dialog, as nothing outside it can be selected.
  const place = document.querySelector('dialog[open]') ?? document.body
  place.append(area)
  area.select()
  const isCopied = document.execCommand('copy')
  area.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return isCopied
}

/** @extends {Component<{ text: string, what: string, label?: string }, { said: '' | 'copied' | 'not copied' }>} */
export class CopyButton extends Component {
  /** @override @type {{ said: '' | 'copied' | 'not copied' }} */
  state = { said: '' }
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer

  #copy = async () => {
    const { text, what } = this.props
    const isCopied = await copy(text)
    announce(isCopied ? `${what} copied` : `${what} could not be copied; select the text instead`)
    this.setState({ said: isCopied ? 'copied' : 'not copied' })
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.setState({ said: '' }), SAID_MS)
  }

  /** @override */
  componentWillUnmount() {
    clearTimeout(this.#timer)
  }

  /** @override */
  render() {
    const { what, label = 'copy' } = this.props
    const { said } = this.state
    return h(
      'button',
      {
        type: 'button',
        class: `copy ${said === 'copied' ? 'is-done' : ''}`,
        'aria-label': `Copy ${what}`,
        onClick: this.#copy,
      },
      said || label,
    )
  }
}
