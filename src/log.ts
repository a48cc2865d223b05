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

/** A log that writes each line, made printable, to `write`. */
export function createLog(write: (text: string) => void): Log {
  return {
    info: (line) => write(`${printable(line)}\n`),
    warn: (line) => write(`${printable(line)}\n`),
  }
}

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
