/** The tab key, in real shells, with the names of a fleet that was looked at before. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { MANUALS } from '../../src/commands/all.ts'
import { namesText } from '../../src/commands/known-names.ts'
import { bashCompletion } from '../../src/manual/completion/bash.ts'
import { fishCompletion } from '../../src/manual/completion/fish.ts'
import { NAMES_FOLDER, type Shell } from '../../src/manual/completion/kit.ts'
import { zshCompletion } from '../../src/manual/completion/zsh.ts'
import { GENERAL_PARAMETERS } from '../../src/manual/shared.ts'
import { program, skipUnless } from '../helpers/requirements.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const HASH = 'ac187142527bedbf8558ede8dce42902e6e27319'
/** Names come from strangers: these would run something in a shell that is careless with them. */
const HOSTILE = [
  '$(touch pwned)',
  '`touch pwned`',
  '-rf',
  'a b.gguf',
  "x';touch pwned;'",
  '../x',
  'a\nb',
  'a\tb',
]

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const

/** A folder with the script and a cache of names. */
async function prepare(t: TestContext, shell: Shell): Promise<{ folder: string; script: string }> {
  const folder = await temporaryFolder(t)
  const script = join(folder, `script.${shell}`)
  await writeFile(script, SCRIPTS[shell](MANUALS, GENERAL_PARAMETERS))
  await mkdir(join(folder, NAMES_FOLDER), { recursive: true })
  const shard = {
    infoHash: HASH,
    name: 'tiny-llama-00001-of-00004.gguf',
    length: 81_300,
    model: 'tiny-llama',
  }
  const hostile = HOSTILE.map((name) => ({ ...shard, name, model: name }))
  await writeFile(join(folder, NAMES_FOLDER, 'fleet'), namesText([shard, ...hostile]))
  return { folder, script }
}

/** What a shell offers for a command line that ends where the cursor is. */
type Complete = (line: string) => readonly string[]

async function inBash(t: TestContext): Promise<Complete> {
  const { folder, script } = await prepare(t, 'bash')
  return (line) => {
    const words = line.split(' ')
    const code = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gguf_swarm; printf '%s\\n' "\${COMPREPLY[@]}"`
    const env = { ...process.env, XDG_CACHE_HOME: folder }
    const out = execFileSync('bash', ['--norc', '-uc', code, 'bash', script, ...words], {
      cwd: folder,
      env,
      encoding: 'utf8',
    })
    assert.ok(!existsSync(join(folder, 'pwned')))
    return out.split('\n').filter(Boolean)
  }
}

async function inFish(t: TestContext): Promise<Complete> {
  const { folder, script } = await prepare(t, 'fish')
  return (line) => {
    const env = {
      ...process.env,
      XDG_CACHE_HOME: folder,
      HOME: folder,
      XDG_CONFIG_HOME: folder,
      XDG_DATA_HOME: folder,
    }
    const code = 'source $argv[1]; complete -C $argv[2]'
    const out = execFileSync('fish', ['--no-config', '-c', code, script, line], {
      cwd: folder,
      env,
      encoding: 'utf8',
    })
    assert.ok(!existsSync(join(folder, 'pwned')))
    return out
      .split('\n')
      .filter(Boolean)
      .map((each) => each.split('\t')[0]!)
  }
}

/** zsh completes only on a terminal of its own: one is made for it, and the key is pressed. */
async function inZsh(t: TestContext): Promise<Complete> {
  const { folder, script } = await prepare(t, 'zsh')
  // Whatever is typed ahead keeps a list from being drawn: the prompt is waited for, and drawing is asked for.
  const code = `
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "stty rows 500 columns 200; autoload -U compinit; compinit -u -d $2/dump; LISTMAX=0; source $1"
zpty -w z 'show() { zle list-choices; zle -R; print -n LIST""ED }; zle -N show; bindkey "^I" show; PS1=REA""DY'
zpty -r z text '*READY*'
zpty -n -w z "$3"$'\\t'
zpty -r z text '*LISTED*'
print -r -- $text
zpty -d z`
  return (line) => {
    const env = { ...process.env, XDG_CACHE_HOME: folder, HOME: folder, ZDOTDIR: folder, TERM: 'dumb' }
    const { stdout, stderr } = spawnSync('zsh', ['-fc', code, 'zsh', script, folder, line], {
      cwd: folder,
      env,
      encoding: 'utf8',
      timeout: 60_000,
    })
    assert.ok(!existsSync(join(folder, 'pwned')))
    assert.equal(stderr, '')
    const typed = line.split(' ') // the terminal shows it, too
    return stdout.split(/\s+/).filter((word) => !typed.includes(word))
  }
}

const SHELLS: Readonly<Record<Shell, (t: TestContext) => Promise<Complete>>> = {
  bash: inBash,
  fish: inFish,
  zsh: inZsh,
}

for (const [shell, start] of Object.entries(SHELLS)) {
  test(`${shell} completes commands, options, values and names`, {
    skip: skipUnless(program(shell)),
  }, async (t) => {
    const complete = await start(t)
    const offers = (line: string, wanted: readonly string[], unwanted: readonly string[] = []): void => {
      const offered = complete(line)
      for (const word of wanted)
        assert.ok(offered.includes(word), `'${line}' lacks ${word}: ${offered.join(' ')}`)
      for (const word of unwanted) assert.ok(!offered.includes(word), `'${line}' offers ${word}`)
    }
    offers('gguf-swarm ', ['seed', 'get', 'verify'])
    offers('gguf-swarm se', ['seed'], ['get'])
    offers('gguf-swarm seed --dht', ['--dht-port'], ['--http-port'])
    offers('gguf-swarm seed --log-format ', ['pretty', 'json'], ['seed'])
    offers('gguf-swarm get ', ['tiny-llama', 'tiny-llama-00001-of-00004.gguf', HASH], ['-rf', '../x'])
    offers('gguf-swarm magnet ac', [HASH])
    offers('gguf-swarm completion ', ['bash', 'zsh', 'fish'])
  })
}

test('only names that mean nothing to a shell are kept', () => {
  const shard = { infoHash: HASH, name: 'a.gguf', length: 5, model: 'a' }
  const text = namesText([shard, ...HOSTILE.map((name) => ({ ...shard, name, model: name }))])
  assert.equal(text, `a\tmodel, 1 shard, 5 B\na.gguf\tshard, 5 B\n${HASH}\ta.gguf\n`)
})
