/**
 * Log lines for people: one line an event, on a stream the caller gives (stderr in the command line).
 * Control characters from names and peers are escaped here, so no line can rewrite a terminal.
 */

/** Where log lines go. */
export interface Log {
  info(line: string): void
  warn(line: string): void
}

/** A log that keeps nothing, for library callers that do not want one. */
export const silentLog: Log = { info() {}, warn() {} }

/** Makes text from outside (file names, peers) safe to print: control characters become `\xNN`. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code > 0xff
      ? `\\u${code.toString(16).padStart(4, '0')}`
      : `\\x${code.toString(16).padStart(2, '0')}`
  })
}

/** How log lines look. */
export interface LogStyle {
  /** `json`: one object a line, with time, level and message. */
  readonly format: 'pretty' | 'json'
  readonly hasColours: boolean
  /** Only warnings. */
  readonly isQuiet: boolean
}

const PLAIN: LogStyle = { format: 'pretty', hasColours: false, isQuiet: false }

/** How much a line matters. */
export type LogLevel = 'info' | 'warn' | 'error'

/** A log that writes each line, made printable, to `write`. */
export function createLog(write: (text: string) => void, style: LogStyle = PLAIN): Log {
  return {
    info: (line) => {
      if (!style.isQuiet) write(logLine('info', line, style))
    },
    warn: (line) => write(logLine('warn', line, style)),
  }
}

/** One line of a log; `more` is added to the object of a JSON line. */
export function logLine(
  level: LogLevel,
  line: string,
  { format, hasColours }: LogStyle,
  more: Readonly<Record<string, unknown>> = {},
): string {
  if (format === 'json') {
    const [, area, message = line] = /^\[([A-Z]+)\] (.*)$/s.exec(line) ?? []
    const about = area === undefined ? {} : { area: area.toLowerCase() }
    return `${JSON.stringify({ time: new Date().toISOString(), level, ...about, message, ...more })}\n`
  }
  const text = printable(line)
  return `${hasColours ? coloured(text) : text}\n`
}

/** The area of a line steps back, its verdict stands out. */
function coloured(text: string): string {
  return text
    .replace(/^\[[A-Z]+\]/, '\x1b[2m$&\x1b[22m')
    .replace(/(?<=^|\] |m )✓/, '\x1b[32m✓\x1b[39m')
    .replace(/(?<=^|\] |m )✗/, '\x1b[31m✗\x1b[39m')
}

/** `1 shard`, `4 shards`. */
export const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const BYTE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const

/** Bytes for people: powers of 1,000, three digits, as file managers show them. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`
}
