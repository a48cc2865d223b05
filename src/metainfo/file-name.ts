/** Which names a torrent may give a file. The name comes from strangers and becomes a path on this disk. */

/** 255 bytes is what ext4, APFS, NTFS (in UTF-16 units) and XFS hold in one name. */
export const MAX_NAME_BYTES = 255

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/
/** Names that Windows gives to devices, whatever extension follows. */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?$/i

/** Says what is wrong with `name` as the base name of a file, or undefined when nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (name === '.' || name === '..') return 'it names a folder'
  if (/[/\\]/.test(name)) return 'it holds a path, not just a name'
  if (CONTROL.test(name)) return 'it holds control characters'
  if (!name.isWellFormed()) return 'it is not valid Unicode'
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `it is longer than ${MAX_NAME_BYTES} bytes`
  if (WINDOWS_DEVICE.test(name)) return 'Windows keeps that name for a device'
  return undefined
}
