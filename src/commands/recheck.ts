/** The option of `seed` that has its files read again, and the line that says they were. */
import { DEFAULTS, parseRateOption } from '../config.ts'
import type { SeedEvent } from '../fleet/events.ts'
import { formatBytes } from '../log.ts'

export const RECHECK_OPTIONS = {
  'recheck-rate': {
    type: 'string',
    default: DEFAULTS.recheckRate,
    requiresArg: true,
    describe:
      'read what is seeded again and compare it with its hashes, so many bytes a second; off does not',
  },
} as const

/** The values of {@link RECHECK_OPTIONS}. */
export interface RecheckArguments {
  readonly recheckRate: string
}

/**
 * Bytes a second; null for `off`.
 * @throws {UsageError} `bad-rate`
 */
export function recheckRate({ recheckRate: text }: RecheckArguments): number | null {
  return /^(off|0)$/i.test(text.trim()) ? null : parseRateOption(text, '--recheck-rate')
}

/** Told once all has been read. */
export function recheckedLine({ shards, bad, bytes }: Extract<SeedEvent, { event: 'rechecked' }>): string {
  if (bad > 0) return `[TORRENT] ✗ Re-checked: ${shards} shard(s) are what was hashed, ${bad} are not`
  return `[TORRENT] ✓ Re-checked ${shards} shard(s), ${formatBytes(bytes)} read: every byte is what was hashed`
}
