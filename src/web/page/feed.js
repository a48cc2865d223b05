/**
 * The connection to the live feed. It comes back by itself: after a gap, after silence, after the server went away.
 *
 * connecting -> live -> lost -> connecting -> …
 */

/** The server ticks every 5 s: two ticks and a bit of network missing means that nobody is there. */
const SILENCE_MS = 12_000
/** The first try comes soon, as most restarts take a second; then less often, so that 100 pages do not storm a server. */
const FIRST_RETRY_MS = 500
const MAX_RETRY_MS = 4_000
/** Pages that lost one server do not come back in step; 5 s at most. */
const MAX_JITTER = 0.25
/** Only a feed that held for so long counts as well again: one that breaks at once is not asked twice a second. */
const SETTLED_MS = 5_000

/**
 * @typedef {{ readonly state: 'connecting' } | { readonly state: 'live' } |
 *   { readonly state: 'lost', readonly since: number }} Connection `since`: ms since 1970
 */

export class Feed {
  /** @type {WebSocket | null} */ #socket = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #silence
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry
  #retryMs = FIRST_RETRY_MS
  #openedAt = 0
  /** @type {Connection} */ #connection = { state: 'connecting' }
  #url
  #onFrame
  #onConnection

  /**
   * @param {object} options
   * @param {string} options.url
   * @param {(frame: any) => boolean} options.onFrame false when the frame does not fit and a new snapshot is needed
   * @param {(connection: Connection) => void} options.onConnection
   */
  constructor({ url, onFrame, onConnection }) {
    this.#url = url
    this.#onFrame = onFrame
    this.#onConnection = onConnection
  }

  /** Connects, now, and stays connected. */
  start() {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#drop()
    const socket = new WebSocket(this.#url)
    this.#socket = socket
    this.#listen()
    socket.onmessage = ({ data }) => this.#receive(data)
    socket.onclose = () => this.#lost()
    socket.onopen = () => {
      this.#openedAt = Date.now()
      this.#listen()
    }
  }

  /** Does not wait for the next try: the machine is online again, or somebody looks at the page again. */
  hurry() {
    if (this.#retry !== undefined) this.start()
  }

  /** For good. */
  stop() {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#drop()
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#listen()
    let fits = false
    try {
      fits = this.#onFrame(JSON.parse(String(data)))
    } catch (error) {
      // Said where developers look; the page goes on with a new snapshot.
      reportError(error)
    }
    if (!fits) {
      this.#lost()
      return
    }
    if (Date.now() - this.#openedAt > SETTLED_MS) this.#retryMs = FIRST_RETRY_MS
    if (this.#connection.state !== 'live') this.#become({ state: 'live' })
  }

  #listen() {
    clearTimeout(this.#silence)
    this.#silence = setTimeout(() => this.#lost(), SILENCE_MS)
  }

  #lost() {
    this.#drop()
    if (this.#connection.state !== 'lost') this.#become({ state: 'lost', since: Date.now() })
    if (this.#retry !== undefined) return
    const jitter = 1 + Math.random() * MAX_JITTER
    this.#retry = setTimeout(() => this.start(), this.#retryMs * jitter)
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2)
  }

  #drop() {
    clearTimeout(this.#silence)
    const socket = this.#socket
    this.#socket = null
    if (socket === null) return
    socket.onmessage = null
    socket.onclose = null
    socket.onopen = null
    socket.close()
  }

  /** @param {Connection} connection */
  #become(connection) {
    this.#connection = connection
    this.#onConnection(connection)
  }
}
