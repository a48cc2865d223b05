/** Every limit of the web server, with its reason. Tests shorten the times. */

export interface WebLimits {
  /** Whole request head: a few hundred bytes from any browser; who sends a byte a second is cut off. */
  readonly headersTimeoutMs: number
  /** A request has no body here, so it is over as soon as its head is. */
  readonly requestTimeoutMs: number
  /** An answer nobody takes: after this long without a byte moving the connection is closed. */
  readonly idleTimeoutMs: number
  /** The largest answer over a slow line takes less; longer, and it may be cut off when all connections are taken. */
  readonly slowAnswerMs: number
  /** Browsers and Prometheus use a connection again within seconds; more would only hold descriptors. */
  readonly keepAliveTimeoutMs: number
  /** How often those times are looked at. */
  readonly checkIntervalMs: number
  /** Browsers send about 1 KiB of headers; cookies of other programs on localhost add to that. */
  readonly maxHeaderBytes: number
  /** Per port; well below the usual 1,024 descriptors, which the BitTorrent side needs too. */
  readonly maxConnections: number
  /** Of them, from one address elsewhere: a browser takes six and one for the feed, an office may share an address. */
  readonly maxConnectionsPerAddress: number
  /** Over both ports; each costs a socket and its share of every patch. */
  readonly maxFeedClients: number
  /** Beyond its snapshot, what may wait for one client: eight seconds of the busiest feed. The bytes are shared by all. */
  readonly maxBufferedBytes: number
  /** Clients have nothing to say: enough for control frames, which have at most 125 bytes. */
  readonly maxMessageBytes: number
  /** A client that has not answered the last ping when the next is due is gone. */
  readonly pingIntervalMs: number
  readonly tickIntervalMs: number
  /** A patch of so many bytes is followed by one second of silence: 200 hosts on the move do not flood a page. */
  readonly feedBytesPerSecond: number
  /** How long clients may take to close; then their sockets are closed for them. */
  readonly closeTimeoutMs: number
}

/** What the server runs with. */
export const WEB_LIMITS: WebLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  idleTimeoutMs: 30_000,
  slowAnswerMs: 20_000,
  keepAliveTimeoutMs: 10_000,
  checkIntervalMs: 2_000,
  maxHeaderBytes: 16 * 1024,
  maxConnections: 256,
  maxConnectionsPerAddress: 64,
  maxFeedClients: 100,
  maxBufferedBytes: 8 * 1024 * 1024,
  maxMessageBytes: 1024,
  pingIntervalMs: 15_000,
  tickIntervalMs: 5_000,
  feedBytesPerSecond: 1_000_000,
  closeTimeoutMs: 1_000,
}
