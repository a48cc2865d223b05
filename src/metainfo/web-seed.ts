/** Web seeds (BEP 19): addresses of plain HTTP servers that have the file; `ws` in magnets, `url-list` in .torrent files. */

/** As long as any browser sends. */
const MAX_URL_LENGTH = 2_000

/** More would only be a way to make this machine ask strangers. */
const MAX_WEB_SEEDS = 16

/** A checked address; undefined for what is none that may be asked: another scheme, a password in it, too long. */
export function parseWebSeed(text: string): string | undefined {
  if (text.length > MAX_URL_LENGTH || !URL.canParse(text)) return undefined
  const { protocol, username, password, href } = new URL(text)
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '') return undefined
  return href
}

/** The addresses among `texts`; the others are left out, as these are hints of strangers. */
export function readWebSeeds(texts: readonly string[]): readonly string[] {
  const urls = texts.slice(0, MAX_WEB_SEEDS).flatMap((text) => parseWebSeed(text) ?? [])
  return [...new Set(urls)]
}

/** The address of a file by the rule of BEP 19: one that ends in a slash is a folder, and gets the name appended. */
export function webSeedUrl(url: string, name: string): string {
  return url.endsWith('/') ? url + encodeURIComponent(name) : url
}

/**
 * The addresses of `urls` that have the file `name`: folders have every file, another address only the file that it
 * ends in.
 */
export function webSeedsFor(urls: readonly string[], name: string): readonly string[] {
  return urls
    .filter((url) => url.endsWith('/') || fileNameOf(url) === name)
    .map((url) => webSeedUrl(url, name))
}

function fileNameOf(url: string): string {
  const last = new URL(url).pathname.split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(last)
  } catch {
    return last
  }
}
