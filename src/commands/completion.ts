/** `gguf-swarm completion <shell>`: prints the script that makes the tab key complete. */
import type { Argv } from 'yargs'
import { bashCompletion } from '../manual/completion/bash.ts'
import { fishCompletion } from '../manual/completion/fish.ts'
import { SHELLS, type Shell } from '../manual/completion/kit.ts'
import { zshCompletion } from '../manual/completion/zsh.ts'
import { GENERAL_PARAMETERS } from '../manual/shared.ts'
import type { CommandContext } from './context.ts'
import type { ArgumentsOf } from './define.ts'

const SCRIPTS: Readonly<Record<Shell, typeof bashCompletion>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

const builder = (yargs: Argv) =>
  yargs
    .positional('shell', { choices: SHELLS, demandOption: true, describe: 'the shell it is for' } as const)
    .example('source <($0 completion bash)', 'in ~/.bashrc')
    .example('source <($0 completion zsh)', 'in ~/.zshrc, after compinit')
    .example('$0 completion fish > ~/.config/fish/completions/gguf-swarm.fish', 'once')

async function runCompletion(
  { shell }: ArgumentsOf<typeof builder>,
  { out, manuals }: CommandContext,
): Promise<void> {
  out(SCRIPTS[shell](manuals, GENERAL_PARAMETERS))
}

/** The `completion` command. */
export const completionCommand = {
  command: 'completion <shell>',
  describe: 'Print the script that makes the tab key complete commands, options and names of the fleet',
  builder,
  run: runCompletion,
}
