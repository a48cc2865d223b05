/** QR codes of magnet links: for a terminal and for the page. */
import { renderSVG, renderUnicodeCompact } from 'uqr'

/** Drawn with half blocks, for a dark or light terminal. */
export function qrForTerminal(text: string): string {
  return renderUnicodeCompact(text)
}

/**
 * An SVG image, black on white with the quiet zone of four modules that scanners need; the text itself is not in it.
 * Throws what is too long for any QR code (2,953 bytes).
 */
export function qrSvg(text: string): string {
  return renderSVG(text, { border: 4, pixelSize: 4 })
}
