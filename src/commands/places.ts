/** The folders that other programs keep models in, by the name of the program: for `seed --from`. */
import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DEFAULTS } from '../config.ts'
import { UsageError } from '../errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Where a program keeps its models on one machine; the first that is set, or all its usual folders. */
type Place = (home: string, env: Environment, platform: NodeJS.Platform) => readonly string[]

const cacheHome = (home: string, env: Environment): string => env['XDG_CACHE_HOME'] ?? join(home, '.cache')

/** The hub's cache, by the rules of huggingface_hub (constants.py). */
export function huggingFaceHub(home: string = homedir(), env: Environment = process.env): string {
  const named = env['HF_HUB_CACHE'] ?? env['HUGGINGFACE_HUB_CACHE']
  return named ?? join(env['HF_HOME'] ?? join(cacheHome(home, env), 'huggingface'), 'hub')
}

function llamaCache(home: string, env: Environment, platform: NodeJS.Platform): string {
  switch (platform) {
    case 'darwin':
      return join(home, 'Library', 'Caches', 'llama.cpp')
    case 'win32':
      return join(env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'llama.cpp')
    default:
      return join(cacheHome(home, env), 'llama.cpp')
  }
}

export const PLACES: Readonly<Record<string, Place>> = {
  huggingface: (home, env) => [huggingFaceHub(home, env)],
  lmstudio: (home) => [join(home, '.lmstudio', 'models'), join(home, '.cache', 'lm-studio', 'models')],
  // The second is that of the service which Ollama's installer sets up on Linux.
  ollama: (home, { OLLAMA_MODELS: named }) =>
    named ? [named] : [join(home, '.ollama', 'models'), '/usr/share/ollama/.ollama/models'],
  'llama.cpp': (home, env, platform) => [env['LLAMA_CACHE'] ?? llamaCache(home, env, platform)],
}

const NAMES = Object.keys(PLACES)

/** Options of `seed`. */
export const PLACES_OPTIONS = {
  from: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: `seed what these programs keep: ${NAMES.join(', ')}; repeatable, or with commas`,
  },
} as const

export type Folders = readonly [string, ...string[]]

/**
 * The folders to seed: those given, and those of the programs named; without either the usual one.
 * @throws {UsageError} `bad-place`, or `no-models` for a program that keeps none here
 */
export async function foldersToSeed(
  dirs: readonly string[] = [],
  from: readonly string[] = [],
): Promise<Folders> {
  const folders = [...dirs]
  for (const name of from.flatMap((text) => text.split(','))) folders.push(...(await foldersOf(name.trim())))
  const [first, ...others] = folders
  return first === undefined ? [DEFAULTS.shardsDir] : [first, ...others]
}

async function foldersOf(name: string): Promise<readonly string[]> {
  const place = Object.hasOwn(PLACES, name) ? PLACES[name] : undefined
  if (place === undefined) {
    throw new UsageError(
      'bad-place',
      `--from: '${name}' is none of ${NAMES.join(', ')}; give its folder instead, as in: seed FOLDER`,
    )
  }
  const usual = place(homedir(), process.env, process.platform)
  const there = await Promise.all(usual.map(isFolder))
  const found = usual.filter((_, at) => there[at])
  if (found.length > 0) return found
  throw new UsageError(
    'no-models',
    `--from ${name}: it keeps nothing in ${usual.join(' or ')}; give its folder instead, as in: seed FOLDER`,
  )
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
