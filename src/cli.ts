/**
 * The command line: yargs program, signals, exit codes. The only file that touches the process; the first
 * Ctrl-C stops gracefully, the second at once.
 */
import yargs from 'yargs'
import { commandModules, MANUALS } from './commands/all.ts'
import { type CommandContext, jsonWriter, type Terminal } from './commands/context.ts'
import { ALTERNATIVES } from './commands/options.ts'
import { type Voice, type VoiceArguments, voiceOf } from './commands/voice.ts'
import { VERSION } from './config.ts'
import { EXIT, type ExitCode, messageOf, SwarmError, UsageError } from './errors.ts'
import { commandOf, loadSettings } from './manual/load.ts'
import { withDefaults } from './manual/manual.ts'
import type { Settings } from './manual/settings.ts'
import { CONFIG_OPTION, GROUP, OUTPUT_OPTIONS } from './manual/shared.ts'
import { usageError } from './manual/usage-errors.ts'

/** A graceful stop takes well under a second; what takes longer is ended. */
const STOP_DEADLINE_MS = 5_000
const NO_COMMAND = 'give a command, such as: gguf-swarm seed ~/models'
const INTERRUPTED_BY: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

const argv = process.argv.slice(2)
const controller = new AbortController()
let exitCode: ExitCode = EXIT.done
let interrupted = false

let settings: Settings = new Map()
const stderr = {
  write: (text: string): void => void process.stderr.write(text),
  isInteractive: process.stderr.isTTY === true && process.env['TERM'] !== 'dumb',
  hasColours: process.stderr.isTTY === true && process.stderr.hasColors(),
  columns: (): number => (process.stderr.columns > 0 ? process.stderr.columns : 80), // 0 is a terminal that does not say
}
// Until the command line is understood, what it seems to say.
let args: VoiceArguments & { readonly json?: unknown } = {
  json: argv.includes('--json'),
  logFormat: /--log-format[ =]json\b/.test(argv.join(' ')) ? 'json' : 'pretty',
}
let voice: Voice = voiceOf(stderr, args)

const context: CommandContext = {
  out: (text) => void process.stdout.write(text),
  get terminal() {
    return terminalOf(process.stdout, args.color !== false)
  },
  log: { info: (line) => voice.log.info(line), warn: (line) => voice.log.warn(line) },
  err: (text) => voice.err(text),
  get hasColours() {
    return voice.hasColours
  },
  get isInteractive() {
    return voice.isInteractive
  },
  columns: stderr.columns,
  signal: controller.signal,
  fail,
  // What is set for this command is not meant for those that it starts: it tells them what they need.
  self: [process.execPath, ...process.execArgv, ...process.argv.slice(1, 2), '--no-config'],
  manuals: MANUALS,
}

for (const signal of INTERRUPTED_BY) process.on(signal, interrupt)
// A process started by another gguf-swarm (see fleet/child) ends with it.
process.on('disconnect', stop)
process.on('uncaughtException', crash)
process.on('unhandledRejection', crash)
// `gguf-swarm get … | head` closes the pipe early, and people close terminals: the reader's choice, not an error. It is
// told again for each line that is written while we stop.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
    stop()
  })
}

try {
  settings = (
    await loadSettings({ argv, environment: process.env, manuals: MANUALS, alternatives: ALTERNATIVES })
  ).settings
  await program().parseAsync()
} catch (error) {
  // A host that is stopped returns normally, it has done its job; a download that is stopped has not.
  if (interrupted && isAbort(error)) exitCode = EXIT.interrupted
  else fail(error)
}
process.exitCode = exitCode
process.off('disconnect', stop) // as long as anybody listens for it, the channel keeps this process alive
// Whatever a library left open must not keep a finished command alive.
setTimeout(() => process.exit(), STOP_DEADLINE_MS).unref()

function program(): ReturnType<typeof yargs> {
  const manual = commandOf(argv, MANUALS)
  const all = withDefaults(yargs(argv), (name) => settings.get(name))
    .scriptName('gguf-swarm')
    .version(VERSION)
    .locale('en') // half of it in another language is worse than none
    .usage('$0 <command>\n\nGGUF model shards over real BitTorrent.')
  for (const module of commandModules(context, settings)) all.command(module)
  return all
    .options({ ...OUTPUT_OPTIONS, ...CONFIG_OPTION })
    .middleware((parsed) => {
      args = parsed
      voice = voiceOf(stderr, args)
    })
    .demandCommand(1, NO_COMMAND)
    .strict()
    .parserConfiguration({ 'parse-positional-numbers': false })
    .alias('h', 'help')
    .group(['help', 'version'], GROUP.general)
    .wrap(Math.min(110, process.stdout.columns > 0 ? process.stdout.columns : 100))
    .epilogue(
      'gguf-swarm COMMAND --help shows its options, and examples.\n' +
        'Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nobody has it, 4 not valid, 5 disk, 130 interrupted',
    )
    .exitProcess(false)
    .fail((message, error) => {
      // yargs' own errors are the user's; what a command throws is passed on as it is.
      if (error && error.name !== 'YError') throw error
      throw usageError(message ?? error?.message ?? '', { argv, manual, manuals: MANUALS })
    })
}

function terminalOf(stream: typeof process.stdout, hasColours: boolean): Terminal | null {
  if (stream.isTTY !== true || process.env['TERM'] === 'dumb') return null
  return {
    columns: () => (stream.columns > 0 ? stream.columns : 80),
    rows: () => (stream.rows > 0 ? stream.rows : 24),
    hasColours: hasColours && stream.hasColors(),
    onResize: (listener) => {
      stream.on('resize', listener)
      return () => void stream.off('resize', listener)
    },
  }
}

function isAbort(error: unknown): boolean {
  return error === controller.signal.reason || (error instanceof Error && error.name === 'AbortError')
}

/**
 * The first signal stops gracefully, a second one ends whatever hangs. A terminal that is closed hangs up twice, by its
 * shell and by the system: that is nobody in a hurry.
 */
function interrupt(signal: NodeJS.Signals): void {
  if (interrupted && signal !== 'SIGHUP') endBy(signal)
  stop(signal)
}

/** Stops gracefully, for five seconds at most; idempotent. */
function stop(signal: NodeJS.Signals = 'SIGTERM'): void {
  if (interrupted) return
  interrupted = true
  controller.abort()
  setTimeout(() => endBy(signal), STOP_DEADLINE_MS).unref()
}

/**
 * Dies of the signal as a process does that never listened for it. An exit would wait for the threads that are at the
 * disk, and a disk that hangs keeps them for ever.
 */
function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}

function fail(error: unknown): void {
  const known = error instanceof SwarmError
  const text = known || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message)
  const message = error instanceof UsageError ? text + whereSet(text) : text
  const code = known ? error.code : 'bug'
  if (exitCode === EXIT.done) exitCode = known ? error.exitCode : EXIT.failed
  if (args.json === true) jsonWriter(context.out)({ event: 'error', ...{ code, message } })
  voice.failure(code, message)
}

/** An error names options as on the command line, which is not where all of them were given. */
function whereSet(message: string): string {
  const options = new Set(message.match(/(?<=--)[a-z][a-z-]*/g)) // `--fleet-key` is not `--fleet`
  const named = [...settings].filter(([name]) => options.has(name))
  return named.map(([name, { source }]) => `\n(--${name} is set in ${source})`).join('')
}

/** A bug: say what, and end, so that whoever supervises this process starts it afresh. */
function crash(error: unknown): void {
  fail(error)
  process.exit(EXIT.failed)
}
