/**
 * Lines that are drawn over and over in the same place of a terminal, without its alternate screen: what was there
 * before stays in the scrollback, and the last picture stays when the command ends.
 */
import type { Terminal } from './context.ts'

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'
/** Terminals that know it show a whole picture at once; the others ignore it. */
const BEGIN_PICTURE = '\x1b[?2026h'
const END_PICTURE = '\x1b[?2026l'
const CLEAR_LINE_END = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'
const CLEAR_SCREEN = '\x1b[H\x1b[2J'

/** One place on the terminal that is redrawn until it is closed. */
export class Redraw implements Disposable {
  readonly #write: (text: string) => void
  readonly #stopListening: () => void
  #drawnLines = 0
  #wasResized = false
  #isClosed = false

  /** @param onResize the terminal has another size: draw again */
  constructor(write: (text: string) => void, terminal: Terminal, onResize: () => void) {
    this.#write = write
    this.#stopListening = terminal.onResize(() => {
      this.#wasResized = true
      onResize()
    })
    write(HIDE_CURSOR)
  }

  /** Draws `lines`, each narrower than the terminal, in place of those before. */
  draw(lines: readonly string[]): void {
    if (this.#isClosed) return
    // Nobody knows what a terminal made of the old lines when its width changed, so it starts afresh.
    const back = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\r` : ''
    const start = this.#wasResized ? CLEAR_SCREEN : back
    this.#wasResized = false
    const text = lines.map((line) => `${line}${CLEAR_LINE_END}\n`).join('')
    this.#write(`${BEGIN_PICTURE}${start}${text}${CLEAR_BELOW}${END_PICTURE}`)
    this.#drawnLines = lines.length
  }

  /** Leaves the last picture and gives the cursor back; idempotent. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopListening()
    // The terminal has written ^C below the picture.
    this.#write(`\r${CLEAR_LINE_END}${SHOW_CURSOR}`)
  }
}
