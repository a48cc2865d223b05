/** Light, dark, or as the system has it; remembered on this machine. */
import { Component, h } from './preact.js'

const THEMES = /** @type {const} */ (['system', 'light', 'dark'])
const ICONS = { system: '◐', light: '○', dark: '●' }

/** @typedef {(typeof THEMES)[number]} Theme */

/** @returns {Theme} */
function chosen() {
  const { theme } = document.documentElement.dataset
  return theme === 'light' || theme === 'dark' ? theme : 'system'
}

/** @extends {Component<{}, { theme: Theme }>} */
export class ThemeToggle extends Component {
  /** @override */
  state = { theme: chosen() }

  #next = () => {
    const theme = THEMES[(THEMES.indexOf(this.state.theme) + 1) % THEMES.length] ?? 'system'
    const { dataset } = document.documentElement
    if (theme === 'system') delete dataset['theme']
    else dataset['theme'] = theme
    try {
      if (theme === 'system') localStorage.removeItem('theme')
      else localStorage.setItem('theme', theme)
    } catch {
      // Not remembered, then.
    }
    this.setState({ theme })
    document.dispatchEvent(new Event('themechange'))
  }

  /** @override */
  render() {
    const { theme } = this.state
    return h(
      'button',
      {
        type: 'button',
        class: 'quiet theme-toggle',
        onClick: this.#next,
        'aria-label': `Theme: ${theme}. Change it`,
        title: `Theme: ${theme}`,
      },
      h('span', { 'aria-hidden': 'true' }, ICONS[theme]),
      h('span', { class: 'theme-name' }, theme),
    )
  }
}
