/** Text for people on a terminal, broken between words. */
import { widthOf } from './progress.ts'

/** Narrower than this, a terminal breaks lines better than we do. */
const MIN_COLUMNS = 30

/** The lines of `text` on a terminal of so many columns; those after the first begin with `indent` spaces. */
export function wrapped(text: string, columns: number, indent = 0): readonly string[] {
  if (widthOf(text) < columns || columns - indent < MIN_COLUMNS) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/(?<=\S)(?= )/)) {
    if (line.trim() !== '' && widthOf(line + word) >= columns) {
      lines.push(line)
      line = ' '.repeat(indent) + word.trimStart()
    } else line += word
  }
  return [...lines, line]
}
