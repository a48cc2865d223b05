/** Did you mean: the nearest of the names there are. */

/** A word of six letters with three wrong ones is another word. */
const MAX_SHARE_WRONG = 0.4

/** The candidate nearest to `text`; undefined when none is near. */
export function nearest(text: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(text)
  let best: { readonly name: string; readonly distance: number } | undefined
  for (const name of candidates) {
    const candidate = plain(name)
    // Whoever begins a long name right has it in mind: `--boot` is `--bootstrap`.
    const isBeginning = wanted.length >= 3 && candidate.startsWith(wanted)
    const found = isBeginning ? 1 : distance(wanted, candidate)
    const limit = Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) * MAX_SHARE_WRONG))
    if (found <= limit && (best === undefined || found < best.distance)) best = { name, distance: found }
  }
  return best?.name
}

/** `; did you mean X?`, or nothing when there is nothing near. */
export function didYouMean(text: string, candidates: readonly string[], prefix = ''): string {
  const found = nearest(text, candidates)
  return found === undefined ? '' : `; did you mean ${prefix}${found}?`
}

/** How a name is written (`dhtPort`, `DHT_PORT`, `dht-port`) makes no difference. */
const plain = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')

/** Letters to change, insert, remove, or swap with their neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1]
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current.push(
        Math.min(
          rows[row - 1]![column]! + 1,
          current[column - 1]! + 1,
          rows[row - 1]![column - 1]! + (isSame ? 0 : 1),
          isSwap ? rows[row - 2]![column - 2]! + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    rows.push(current)
  }
  return rows[a.length]![b.length]!
}
