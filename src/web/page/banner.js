/** Says plainly that what is shown is no longer live, since when, and that the page tries again. */
import { announce } from './announce.js'
import { clock, formatSeconds } from './format.js'
import { Component, h } from './preact.js'

/** @import { Connection } from './feed.js' */

/** @extends {Component<{ connection: Connection, time: string | null }>} */
export class Banner extends Component {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer

  /** @override */
  componentDidMount() {
    this.#timer = setInterval(() => {
      if (this.props.connection.state === 'lost') this.forceUpdate()
    }, 1_000)
  }

  /**
   * @override
   * @param {{ connection: Connection }} before
   */
  componentDidUpdate({ connection: before }) {
    const { state } = this.props.connection
    if (state === before.state) return
    // Once, not with every second that passes.
    if (state === 'lost') announce('Connection lost, trying again')
    else if (before.state === 'lost') announce('Connected again')
  }

  /** @override */
  componentWillUnmount() {
    clearInterval(this.#timer)
  }

  /** @override */
  render() {
    const { connection, time } = this.props
    if (connection.state !== 'lost') return null
    const ago = formatSeconds((Date.now() - connection.since) / 1000)
    const seen = time === null ? 'nothing has been received yet' : `what you see is from ${clock(time)}`
    return h(
      'p',
      { class: 'banner' },
      h('strong', null, `Connection lost ${ago} ago`),
      `, trying again; ${seen}.`,
    )
  }
}
