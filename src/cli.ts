/**
 * The command line: yargs program, signals, exit codes. The only file that touches the process; the first
 * Ctrl-C stops gracefully, the second at once.
 */
import yargs from 'yargs'
import { bootstrapCommand } from './commands/bootstrap.ts'
import { type CommandContext, jsonWriter, type Terminal } from './commands/context.ts'
import { commandModule } from './commands/define.ts'
import { getCommand } from './commands/get.ts'
import { keyCommand } from './commands/key.ts'
import { magnetCommand } from './commands/magnet.ts'
import { seedCommand } from './commands/seed.ts'
import { statusCommand } from './commands/status.ts'
import { upCommand } from './commands/up.ts'
import { verifyCommand } from './commands/verify.ts'
import { webCommand } from './commands/web.ts'
import { EXIT, type ExitCode, messageOf, SwarmError, UsageError } from './errors.ts'
import { printable } from './log.ts'

/** A graceful stop takes well under a second; what takes longer is ended. */
const STOP_DEADLINE_MS = 5_000
const INTERRUPTED_BY: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

const argv = process.argv.slice(2)
const controller = new AbortController()
let exitCode: ExitCode = EXIT.done
let interrupted = false

const context: CommandContext = {
  out: (text) => void process.stdout.write(text),
  terminal: terminalOf(process.stdout),
  err: (text) => void process.stderr.write(text),
  isInteractive: process.stderr.isTTY === true && process.env['TERM'] !== 'dumb',
  columns: () => (process.stderr.columns > 0 ? process.stderr.columns : 80), // 0 is a terminal that does not say
  signal: controller.signal,
  fail,
  self: [process.execPath, ...process.execArgv, ...process.argv.slice(1, 2)],
}

for (const signal of INTERRUPTED_BY) process.on(signal, stop)
// A process started by another gguf-swarm (see fleet/child) ends with it.
process.on('disconnect', stop)
process.on('uncaughtException', crash)
process.on('unhandledRejection', crash)
// `gguf-swarm get … | head` closes the pipe early: that is the reader's choice, not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  stop()
})

try {
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
  return yargs(argv)
    .scriptName('gguf-swarm')
    .usage('$0 <command>\n\nGGUF model shards over real BitTorrent.')
    .command(commandModule(seedCommand, context))
    .command(commandModule(getCommand, context))
    .command(commandModule(bootstrapCommand, context))
    .command(commandModule(magnetCommand, context))
    .command(commandModule(keyCommand, context))
    .command(commandModule(statusCommand, context))
    .command(commandModule(webCommand, context))
    .command(commandModule(verifyCommand, context))
    .command(commandModule(upCommand, context))
    .demandCommand(1, 'give a command, such as: gguf-swarm seed')
    .strict()
    .recommendCommands()
    .parserConfiguration({ 'parse-positional-numbers': false })
    .alias('h', 'help')
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .epilogue(
      'Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nobody has it, 4 not valid, 5 disk, 130 interrupted',
    )
    .exitProcess(false)
    .fail((message, error) => {
      // yargs' own errors are the user's; what a command throws is passed on as it is.
      if (error && error.name !== 'YError') throw error
      throw new UsageError(
        'usage',
        `${message ?? error?.message}\nRun gguf-swarm --help to see what there is.`,
      )
    })
}

function terminalOf(stream: typeof process.stdout): Terminal | null {
  if (stream.isTTY !== true || process.env['TERM'] === 'dumb') return null
  return {
    columns: () => (stream.columns > 0 ? stream.columns : 80),
    rows: () => (stream.rows > 0 ? stream.rows : 24),
    hasColours: stream.hasColors(),
    onResize: (listener) => {
      stream.on('resize', listener)
      return () => void stream.off('resize', listener)
    },
  }
}

function isAbort(error: unknown): boolean {
  return error === controller.signal.reason || (error instanceof Error && error.name === 'AbortError')
}

/** The first signal stops gracefully; a second one, or five seconds, end whatever hangs. */
function stop(signal: NodeJS.Signals = 'SIGTERM'): void {
  if (interrupted) endBy(signal)
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
  const message = known || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message)
  if (exitCode === EXIT.done) exitCode = known ? error.exitCode : EXIT.failed
  if (argv.includes('--json'))
    jsonWriter(context.out)({ event: 'error', ...{ code: known ? error.code : 'bug', message } })
  const lines = message.split('\n').map(printable)
  context.err(`gguf-swarm: ${lines.join('\n')}\n`)
}

/** A bug: say what, and end, so that whoever supervises this process starts it afresh. */
function crash(error: unknown): void {
  fail(error)
  process.exit(EXIT.failed)
}
