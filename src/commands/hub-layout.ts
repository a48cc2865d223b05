/** `get --hf-layout`: options that put what is fetched where Hugging Face's tools find it. */
import { inHub } from '../fleet/download/hub-placement.ts'
import type { Placement } from '../fleet/download/placement.ts'
import { huggingFaceHub } from './places.ts'

/** The branch that tools ask for when none is named. */
const DEFAULT_REVISION = 'main'

export const HUB_OPTIONS = {
  'hf-layout': {
    type: 'boolean',
    default: false,
    describe: "put it into Hugging Face's cache, where other tools find it; --out is another cache folder",
  },
  'hf-repo': {
    type: 'string',
    requiresArg: true,
    describe: 'ORG/NAME of its repository there; implies --hf-layout',
    defaultDescription: 'gguf-swarm/MODEL',
  },
  'hf-revision': {
    type: 'string',
    requiresArg: true,
    describe: 'branch, tag or commit of that repository',
    defaultDescription: DEFAULT_REVISION,
  },
} as const

interface HubArguments {
  readonly out?: string | undefined
  readonly hfLayout: boolean
  readonly hfRepo?: string | undefined
  readonly hfRevision?: string | undefined
}

/**
 * Where the files go when one of {@link HUB_OPTIONS} is given; null without.
 * @throws {UsageError} `bad-repo` or `bad-revision`
 */
export function hubPlacement({ out, hfLayout, hfRepo, hfRevision }: HubArguments): Placement | null {
  if (!hfLayout && hfRepo === undefined && hfRevision === undefined) return null
  const hub = out ?? huggingFaceHub()
  return inHub({ hub, repo: hfRepo ?? null, revision: hfRevision ?? DEFAULT_REVISION })
}
