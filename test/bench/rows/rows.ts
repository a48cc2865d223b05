/** All rows, in the order of the table. */
import type { Row } from '../model.ts'
import { coldGet } from './cold-get.ts'
import { create } from './create.ts'
import { fanOut } from './fan-out.ts'
import { get } from './get.ts'
import { magnets } from './magnet.ts'
import { memoryGet, memorySeed } from './memory.ts'
import { modelRow } from './model.ts'
import { idle, restart } from './restart.ts'
import { crowd, seed } from './seed.ts'

export const ROWS: readonly Row[] = [
  create,
  restart,
  coldGet,
  get,
  modelRow,
  seed,
  crowd,
  fanOut,
  ...magnets,
  memorySeed,
  memoryGet,
  idle,
]
