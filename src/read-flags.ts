/** How files that anybody may have put there are opened. */
import { constants } from 'node:fs'

/** For reading. Opening a named pipe would wait for a writer for ever without it; Windows has neither. */
export const READ_FLAGS: number = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
