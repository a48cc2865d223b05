/** What the functions of the library take, and what they give, in common. */

/** Which DHT, which fleet, where to listen, and until when. */
export interface SwarmOptions {
  /** `HOST:PORT` of the bootstrap nodes of a private DHT; `127.0.0.1:51820` unless told. */
  readonly bootstrap?: string | readonly string[] | undefined
  /** Joins the public (mainline) DHT instead. */
  readonly public?: boolean | undefined
  /** Name of an open fleet; `default` in a private DHT unless told. */
  readonly fleet?: string | undefined
  /** Path of the key file of a keyed fleet; `models_cache/fleet.key` where there is one. */
  readonly fleetKey?: string | undefined
  /** IPv4 address to listen on; all unless told. */
  readonly bind?: string | undefined
  /** BitTorrent port (TCP); any free one unless told. */
  readonly port?: number | undefined
  /** DHT port (UDP); any free one unless told. */
  readonly dhtPort?: number | undefined
  /** Ends it: while it starts, the promise rejects with the signal's reason; later it stops gracefully. */
  readonly signal?: AbortSignal | undefined
}

/** Something that runs until it is stopped. */
export interface Running extends AsyncDisposable {
  /** Resolves when it has stopped: with the error that it could not go on after, or null when it was asked to. */
  readonly ended: Promise<Error | null>
  /** Stops gracefully; idempotent. */
  stop(): Promise<void>
}
