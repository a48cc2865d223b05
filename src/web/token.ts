/**
 * The token that a server asks for where others than this machine can reach it: as `Authorization: Bearer` from
 * programs, as a cookie from browsers, which get it for opening the link with the token once.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** 16 characters of any kind are more than anybody tries over a network; those made here have 43. */
export const TOKEN_PATTERN: RegExp = /^[\w.~+/=-]{16,200}$/
/** A month: a link is opened again more often than that. */
const COOKIE_SECONDS = 30 * 24 * 60 * 60

/** Checks what requests bring. */
export class WebToken {
  readonly #token: string
  /**
   * What the cookie holds: cookies go to every port of a host, and a program on another one must not learn what it
   * could use as a token elsewhere.
   */
  readonly #cookie: string

  constructor(token: string) {
    this.#token = token
    this.#cookie = createHmac('sha256', token).update('gguf-swarm web cookie').digest('base64url')
  }

  /** Is this the token? Takes the same time however much of it is right. */
  matches(candidate: string): boolean {
    return isSame(candidate, this.#token)
  }

  /** Does a request carry the token, or the cookie of the server whose page is on `port`? */
  admits({ authorization, cookie }: IncomingHttpHeaders, port: number): boolean {
    const [, bearer] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    if (bearer !== undefined) return this.matches(bearer)
    const name = `${cookieName(port)}=`
    return (cookie ?? '')
      .split(/; */)
      .some((pair) => pair.startsWith(name) && isSame(pair.slice(name.length), this.#cookie))
  }

  /** The `Set-Cookie` header of the server whose page is on `port`. */
  setCookie(port: number): string {
    // Lax, as a link may be clicked anywhere: pages of other sites can open this one, not read it or connect to it.
    const attributes = `Path=/; Max-Age=${COOKIE_SECONDS}; HttpOnly; SameSite=Lax`
    return `${cookieName(port)}=${this.#cookie}; ${attributes}`
  }
}

/** Two servers of one host do not take each other's cookies away. */
const cookieName = (port: number): string => `gguf-swarm-${port}`

/** Hashes have one length, so that not even that of the token shows. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
