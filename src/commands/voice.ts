/** How a command talks to people: `--quiet`, `--log-format`, colours; and what is said last when it fails. */
import { createLog, type Log, type LogStyle, logLine } from '../log.ts'
import { wrap } from './table.ts'

/** The stream behind it, stderr. */
export interface Stderr {
  readonly write: (text: string) => void
  /** A terminal that can be redrawn. */
  readonly isInteractive: boolean
  readonly hasColours: boolean
  readonly columns: () => number
}

/** What the command line says of it. */
export interface VoiceArguments {
  readonly quiet?: unknown
  readonly color?: unknown
  readonly logFormat?: unknown
}

/** Everything that a command says to people. */
export interface Voice {
  readonly log: Log
  readonly err: (text: string) => void
  /** Said whatever the style: why it ends. */
  readonly failure: (code: string, message: string) => void
  readonly isInteractive: boolean
  readonly hasColours: boolean
}

/** The voice that the arguments ask for. */
export function voiceOf({ write, isInteractive, hasColours, columns }: Stderr, args: VoiceArguments): Voice {
  const style: LogStyle = {
    format: args.logFormat === 'json' ? 'json' : 'pretty',
    hasColours: hasColours && args.color !== false && args.logFormat !== 'json',
    isQuiet: args.quiet === true,
  }
  const isPlain = style.format === 'pretty'
  const log = createLog(write, style)
  return {
    log,
    err: (text) => {
      if (style.isQuiet) return
      if (isPlain) write(text)
      else for (const line of text.split('\n').filter((one) => one.trim() !== '')) log.info(line)
    },
    failure: (code, message) => {
      if (!isPlain) return write(logLine('error', message, style, { code }))
      const width = isInteractive ? columns() : Number.POSITIVE_INFINITY
      // A table in a message keeps its columns where they fit.
      const fitted = (line: string): readonly string[] => (line.length <= width ? [line] : wrap(line, width))
      for (const line of `gguf-swarm: ${message}`.split('\n').flatMap(fitted)) {
        write(logLine('error', line, style))
      }
    },
    isInteractive: isInteractive && isPlain && !style.isQuiet,
    hasColours: style.hasColours,
  }
}
