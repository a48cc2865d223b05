/** Options about web seeds: of `seed`, which names mirrors, and of `get`, which may ask them. */
import { parseMirrorOption, parseWebSeedOption } from '../config.ts'
import type { WebSeedChoice } from '../fleet/download/getter-options.ts'

const URL_OPTION = { type: 'string', array: true, nargs: 1, requiresArg: true } as const

/** Of `seed`. */
export const MIRROR_OPTIONS = {
  'web-seed': {
    ...URL_OPTION,
    describe:
      'address of a mirror (http or https) to put into magnets and .torrent files: a folder with all files, which ends ' +
      'in / (https://huggingface.co/ORG/REPO/resolve/main/), or one .gguf file; repeatable',
  },
} as const

/** Of `get`. */
export const WEB_SEED_OPTIONS = {
  'web-seeds': {
    type: 'boolean',
    default: false,
    describe: 'also fetch from the web servers that magnet links and .torrent files name',
  },
  'web-seed': {
    ...URL_OPTION,
    describe: 'a web server (file, or folder with / at the end) to fetch from, too; repeatable',
  },
} as const

/**
 * The mirrors that a host names.
 * @throws {UsageError} `bad-url`
 */
export function mirrorUrls(texts: readonly string[] = []): readonly string[] {
  return texts.map((text) => parseMirrorOption(text, '--web-seed'))
}

/**
 * Which web seeds a `get` may ask; null for none at all.
 * @throws {UsageError} `bad-url`
 */
export function webSeedChoice(args: {
  readonly webSeeds: boolean
  readonly webSeed?: readonly string[] | undefined
}): WebSeedChoice | null {
  const urls = (args.webSeed ?? []).map((text) => parseWebSeedOption(text, '--web-seed'))
  return args.webSeeds || urls.length > 0 ? { urls, ofLinks: args.webSeeds } : null
}
