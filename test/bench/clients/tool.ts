/** Whether a program is there, and which version of it. */
import { spawnSync } from 'node:child_process'

/** The first match of `pattern` (its first group) in what the command prints; null when it cannot be run. */
export function versionOf(command: string, args: readonly string[], pattern: RegExp): string | null {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 })
  if (error) return null
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? null
}
