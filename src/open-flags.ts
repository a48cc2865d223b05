/** How files that others may put something in the place of are opened. Windows has neither pipes nor links of this kind. */
import { constants } from 'node:fs'

/** For reading. Opening a named pipe would wait for a writer for ever without it. */
export const READ_FLAGS: number = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** The data of a download. Not through a link: who else writes into the folder could have us write anywhere. */
export const DATA_FLAGS: number = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0)
