/** All rows, in the order of the table. */
import type { Row } from '../model.ts'
import { get } from './get.ts'
import { seed } from './seed.ts'

export const ROWS: readonly Row[] = [get, seed]
