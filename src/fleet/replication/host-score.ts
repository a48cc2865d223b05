/**
 * Highest-random-weight hashing (Thaler and Ravishankar, 1998): every host has a score of its own for every shard, and all
 * hosts know all scores. So hosts that see the same fleet agree, without a word, on who is first to fetch what.
 */

/** A number for an id of hex digits (host or infohash), whose digits are random as they are. */
export function wordOf(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16) ^ Number.parseInt(id.slice(8, 16), 16)
}

/**
 * The score of a host for a shard, from 0 to 2^32 − 1; the highest goes first. Not a secure hash, and need not be: whoever
 * chooses an id to be first has more to fetch. The mixing is MurmurHash3's finalizer (Austin Appleby, public domain).
 */
export function scoreOf(hostWord: number, shardWord: number): number {
  let mixed = hostWord ^ Math.imul(shardWord, 0x9e3779b1)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
