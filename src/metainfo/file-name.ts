/** Which names a torrent may give a file. The name comes from strangers and becomes a path on this disk. */

/** 255 bytes is what ext4, APFS, NTFS (in UTF-16 units) and XFS hold in one name. */
export const MAX_NAME_BYTES = 255

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/
/**
 * What turns the direction of text, and what nobody sees (Unicode's Bidi_Control, zero-width space, word joiner, byte
 * order mark): a name is to be what it looks like, and two names two.
 */
const UNSEEN = /[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/
/** Letters without accents, digits, and what is typed between them: nearly all names. */
const PLAIN = /^[ -~]*$/
/** What Windows takes for something else: `a:b` is a stream of the file `a`. Elsewhere people use these. */
const WINDOWS_RESERVED = /[<>:"|?*]/
/** Names that Windows gives to devices, whatever extension follows. */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?$/i

/** Says what is wrong with `name` as the base name of a file, or undefined when nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (name === '.' || name === '..') return 'it names a folder'
  if (/[/\\]/.test(name)) return 'it holds a path, not just a name'
  if (CONTROL.test(name)) return 'it holds control characters'
  if (UNSEEN.test(name)) return 'it holds characters that are not seen, or turn the direction of text'
  // Windows drops them without a word, and the file has another name then.
  if (/[. ]$/.test(name)) return 'it ends with a dot or a space'
  if (process.platform === 'win32' && WINDOWS_RESERVED.test(name))
    return 'Windows allows no < > : " | ? * in it'
  if (!name.isWellFormed()) return 'it is not valid Unicode'
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `it is longer than ${MAX_NAME_BYTES} bytes`
  if (WINDOWS_DEVICE.test(name)) return 'Windows keeps that name for a device'
  return undefined
}

/**
 * The same for names that some file system takes for one: macOS does not tell é from e with an accent after it, nor do
 * macOS and Windows tell upper case from lower.
 */
export function twinKey(name: string): string {
  if (PLAIN.test(name)) return name.toLowerCase()
  return name.normalize('NFC').toLowerCase().normalize('NFC')
}
