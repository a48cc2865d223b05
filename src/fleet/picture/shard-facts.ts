/**
 * What a shard is, when several hosts say different things of it: its infohash is the same, and so its content, but a
 * name, a model or a SHA-256 is only what a host says.
 */
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'

/** What is said of a shard, its progress aside. */
const FACTS = [
  'name',
  'length',
  'pieceLength',
  'sha256',
  'model',
  'number',
  'count',
  'architecture',
  'sizeLabel',
] as const satisfies readonly (keyof OfferedShard)[]

const isSame = (a: OfferedShard, b: OfferedShard): boolean =>
  a === b || FACTS.every((key) => a[key] === b[key])

/** Different opinions counted of one shard; each offer is compared with them. */
const MAX_PARTIES = 16

/** Offers of one shard that say the same of it. */
interface Party {
  readonly facts: OfferedShard
  whole: number
  all: number
}

/**
 * What most hosts that have it whole say; of as many, what was said first. Null without offers. One host that says
 * something else changes nothing for the others, and what it said is gone with it.
 */
export function factsOf(offers: ReadonlyMap<string, OfferedShard>): OfferedShard | null {
  const parties: Party[] = []
  for (const offer of offers.values()) {
    let party = parties.find(({ facts }) => isSame(facts, offer))
    if (party === undefined) {
      party = { facts: offer, whole: 0, all: 0 }
      // Hosts that all say something else are no majority: a few of them are as good as all.
      if (parties.length < MAX_PARTIES) parties.push(party)
    }
    party.all++
    if (offer.state === 'seeding') party.whole++
  }
  const [first, ...others] = parties
  if (first === undefined) return null
  const isMore = (a: Party, b: Party): boolean => a.whole > b.whole || (a.whole === b.whole && a.all > b.all)
  return others.reduce((best, party) => (isMore(party, best) ? party : best), first).facts
}

/** The hosts that say another SHA-256 than `facts`. */
export function dissentersOf(
  facts: OfferedShard,
  offers: ReadonlyMap<string, OfferedShard>,
): readonly string[] {
  const hosts: string[] = []
  for (const [hostId, { sha256 }] of offers) if (sha256 !== facts.sha256) hosts.push(hostId)
  return hosts
}
