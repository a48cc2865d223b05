/** The one place where the page meets preact, and the component that is drawn again only when a property changed. */
import { Component } from '/vendor/preact.js'

export { Component, createRef, Fragment, h, render } from '/vendor/preact.js'

/**
 * Compares properties by reference: state is immutable, so the same object looks the same.
 * @template [P={}]
 * @template [S={}]
 * @extends {Component<P, S>}
 */
export class Memo extends Component {
  /**
   * @override
   * @param {Readonly<P>} next
   * @param {Readonly<S>} nextState
   */
  shouldComponentUpdate(next, nextState) {
    return differs(this.props, next) || differs(this.state, nextState)
  }

  /**
   * @override
   * @returns {import('preact').ComponentChildren}
   */
  render() {
    return null
  }
}

/**
 * @param {object} before
 * @param {object} after
 */
function differs(before, after) {
  const [a, b] = [
    /** @type {Record<string, unknown>} */ (before),
    /** @type {Record<string, unknown>} */ (after),
  ]
  for (const name in a) if (!(name in b)) return true
  for (const name in b) if (!Object.is(a[name], b[name])) return true
  return false
}
