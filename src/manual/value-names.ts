/** What stands for an option's value in a synopsis: `--state-dir DIR`. */
import type { Parameter } from './manual.ts'

const NAMES: Readonly<Record<string, string>> = {
  bind: 'ADDRESS',
  host: 'ADDRESS',
  peer: 'HOST:PORT',
  bootstrap: 'HOST:PORT',
  advertise: 'HOST:PORT',
  'allow-host': 'NAME',
  fleet: 'NAME',
  name: 'NAME',
  want: 'NAME',
  'hf-repo': 'ORG/NAME',
  'hf-revision': 'REVISION',
  from: 'PROGRAM',
  allow: 'CIDR',
  'web-seed': 'URL',
  timeout: 'SECONDS',
  config: 'FILE',
  'fleet-key': 'FILE',
  'token-file': 'FILE',
  report: 'FILE',
  log: 'FILE',
  out: 'DIR',
  'state-dir': 'DIR',
  'temp-dir': 'DIR',
  'torrents-dir': 'DIR',
  'max-bytes': 'SIZE',
  'min-free': 'SIZE',
  'recheck-rate': 'SIZE',
  'upload-limit': 'SIZE',
}

/** '' for a switch; the choices where there are any. */
export function valueName({ name, kind, choices }: Parameter): string {
  if (kind === 'boolean') return ''
  if (choices.length > 0) return choices.join('|')
  if (name === 'port' || name.endsWith('-port')) return 'PORT'
  return NAMES[name] ?? kind.toUpperCase()
}
