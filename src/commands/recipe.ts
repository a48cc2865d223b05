/** `gguf-swarm recipe <client> [what]`: how a standard client joins this fleet's DHT, with its own values. */
import type { Argv } from 'yargs'
import { addressOf, isLoopback } from '../swarm/address.ts'
import { type CommandContext, jsonWriter } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { magnetsOf, QUESTION_OPTIONS } from './magnet.ts'
import { dhtChoice } from './options.ts'
import { CLIENTS, recipeOf, recipeText } from './recipes.ts'
import { wrap } from './table.ts'

/** Stands where a magnet is to be pasted, when none was asked for. */
const ANY_MAGNET = 'magnet:?xt=urn:btih:…'
const NOTHING_TO_SET_UP = 'Every client is in the public DHT as it comes: there is nothing to set up.'

const builder = (yargs: Argv) =>
  yargs
    .positional('client', { choices: CLIENTS, demandOption: true, describe: 'the client to set up' } as const)
    .positional('what', {
      type: 'string',
      describe:
        "what to fetch with it: a shard's or model's name, infohash, magnet link, .torrent or .gguf file",
    })
    .options(QUESTION_OPTIONS)
    .example('$0 recipe qbittorrent --bootstrap 10.0.0.1:51820', 'how qBittorrent joins that DHT')
    .example('$0 recipe aria2 tiny-llama', 'the command line that fetches that model')

type RecipeArguments = ArgumentsOf<typeof builder>

async function runRecipe(args: RecipeArguments, context: CommandContext): Promise<void> {
  const { client, what, json, bind } = args
  const dht = dhtChoice(args.bootstrap, args.public)
  const named = what === undefined ? [] : await magnetsOf({ ...args, what }, [], context.signal)
  const magnets = named.map((one) => one.magnet)
  if (dht.kind === 'public') {
    if (json) jsonWriter(context.out)({ event: 'recipe', ...{ client, text: NOTHING_TO_SET_UP, magnets } })
    else for (const link of magnets) context.out(`${link}\n`)
    context.log.info(NOTHING_TO_SET_UP)
    return
  }
  const [magnet = ANY_MAGNET, ...more] = magnets
  const [first] = dht.bootstrap
  // Most clients take loopback addresses for nobody's, and no other machine can use one.
  const bootstrap =
    first !== undefined && isLoopback(first.host) ? { ...first, host: await addressOf(bind) } : first!
  const recipe = recipeOf(client, { bootstrap, magnet })
  if (json) {
    jsonWriter(context.out)({
      event: 'recipe',
      ...recipe,
      ...{ text: recipeText(recipe), magnets },
    })
    return
  }
  const { terminal } = context
  const columns = terminal?.columns() ?? Number.POSITIVE_INFINITY
  for (const line of recipeText(recipe).split('\n')) {
    // What is to be typed stays in one piece.
    for (const part of line.startsWith('  ') ? [line] : wrap(line, columns)) context.out(`${part}\n`)
  }
  if (more.length > 0)
    context.out(`\nThe other shards of ${what}:\n${more.map((link) => `  ${link}\n`).join('')}`)
  if (first !== bootstrap) {
    context.log.info(
      `(${bootstrap.host} is this machine: no bootstrap node was named, and others cannot use 127.0.0.1.)`,
    )
  }
}

/** The `recipe` command. */
export const recipeCommand = {
  command: 'recipe <client> [what]',
  describe:
    'Print how a standard client (qBittorrent, Transmission, aria2 and others) joins this DHT and fetches from it',
  builder,
  run: runRecipe,
}
