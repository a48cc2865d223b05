/**
 * The rules of split models: llama.cpp loads a set of files `prefix-00001-of-00004.gguf` … and demands that
 * each says in its metadata which of how many it is (tools/gguf-split of llama.cpp).
 */
import type { GgufHeader } from './header.ts'

/** What a shard's file name says; `number` counts from 1. */
export interface ShardName {
  readonly prefix: string
  readonly number: number
  readonly count: number
}

/** What a shard's metadata says; `no` counts from 0, `tensorsCount` is that of all shards together. */
export interface ShardInfo {
  readonly no: number
  readonly count: number
  readonly tensorsCount: number
}

/** The keys llama.cpp reads, written as u16, u16 and i32. */
export const SHARD_KEYS = {
  no: 'split.no',
  count: 'split.count',
  tensorsCount: 'split.tensors.count',
} as const

/** Five digits exactly: llama.cpp makes the names of the other shards with `%s-%05d-of-%05d.gguf`. */
const SHARD_NAME = /^(.+)-(\d{5})-of-(\d{5})\.gguf$/s

/** Parses `prefix-00001-of-00004.gguf`; null for any other name. */
export function parseShardName(fileName: string): ShardName | null {
  const [, prefix, number, count] = SHARD_NAME.exec(fileName) ?? []
  if (prefix === undefined || number === undefined || count === undefined) return null
  const name: ShardName = { prefix, number: Number(number), count: Number(count) }
  return name.number >= 1 && name.number <= name.count ? name : null
}

/** The name llama.cpp looks for; the inverse of {@link parseShardName}. */
export function formatShardName({ prefix, number, count }: ShardName): string {
  const digits = (value: number): string => value.toString().padStart(5, '0')
  return `${prefix}-${digits(number)}-of-${digits(count)}.gguf`
}

/** Which shard of a split model this is; null for a file that is not one, or says impossible things. */
export function shardInfoOf(header: GgufHeader): ShardInfo | null {
  const number = (key: string): number => {
    const value = header.metadata.get(key)
    return typeof value === 'number' && Number.isSafeInteger(value) ? value : -1
  }
  const no = number(SHARD_KEYS.no)
  const count = number(SHARD_KEYS.count)
  const tensorsCount = number(SHARD_KEYS.tensorsCount)
  if (no < 0 || no >= count || tensorsCount < header.tensorCount) return null
  return { no, count, tensorsCount }
}
