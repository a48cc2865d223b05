/** The licences of everything that went into the bundle, as they ask to be kept with it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const LINE = '-'.repeat(80)
const LICENCE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i

/** Licences under which the bundle may carry a package; another one is for a person to decide about. */
const ACCEPTED = new Set([
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'BlueOak-1.0.0',
  '0BSD',
])

/** Where `package.json` and README disagree: here 'BSD', of no version and without a text, there MIT. */
const BY_README: Readonly<Record<string, string>> = { compact2string: 'MIT' }

interface Package {
  readonly name: string
  readonly version: string
  readonly licence: string
  readonly author: string
  readonly text: string
}

/**
 * One text with the notice of each package that one of `files` belongs to.
 * @throws Error for a package without a licence, or with one that nobody has looked at
 */
export function noticesOf(files: readonly string[]): string {
  const folders = new Set(files.flatMap((file) => folderOf(file) ?? []))
  const packages = new Map<string, Package>()
  for (const folder of folders) {
    const found = readPackage(folder)
    packages.set(`${found.name} ${found.version}`, found)
  }
  const sorted = [...packages].sort(([one], [other]) => (one < other ? -1 : 1))
  const sections = sorted.map(([title, { licence, author, text }]) => {
    // Some packages name their licence and carry no text of it.
    const body = text === '' ? `Copyright (c) ${author}\n${licence} licence: see the end of this file.` : text
    return `${LINE}\n${title} (${licence})\n\n${body.trim()}\n`
  })
  const first = 'gguf-swarm contains the following packages, each under its own licence.\n'
  return [first, ...sections, `${LINE}\nThe MIT licence\n\n${mitText()}\n`].join('\n')
}

/** What our own licence says after whose it is. */
function mitText(): string {
  const own = readFileSync(new URL('../LICENSE', import.meta.url), 'utf8')
  return own.slice(own.indexOf('Permission is hereby granted')).trim()
}

/** The folder of the package a file belongs to: the one after the last `node_modules`; undefined for our own. */
function folderOf(file: string): string | undefined {
  return /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(file)?.[0]
}

function readPackage(folder: string): Package {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const { name, version, license, licenses, author } = manifest
  const licence: unknown = BY_README[name] ?? license?.type ?? license ?? licenses?.[0]?.type
  if (typeof licence !== 'string' || !ACCEPTED.has(licence)) {
    throw new Error(`${name} ${version} is under ${licence}: look at it, then add it to packaging/notices.ts`)
  }
  const text = licenceText(folder)
  if (text === '' && licence !== 'MIT') throw new Error(`${name} ${version} carries no licence text`)
  return { name, version, licence, author: author?.name ?? author ?? `the authors of ${name}`, text }
}

/** What lies in the package: files of its own, or the end of its README; '' when there is neither. */
function licenceText(folder: string): string {
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  const own = names.filter((name) => LICENCE_FILE.test(name))
  if (own.length > 0) return own.map(read).join('\n\n')
  const readme = names.find((name) => /^readme(\.|$)/i.test(name))
  const section = readme === undefined ? '' : (/^#+ licen[cs]e\b[\s\S]*/im.exec(read(readme))?.[0] ?? '')
  return section.includes('WARRANTY') ? section : ''
}
