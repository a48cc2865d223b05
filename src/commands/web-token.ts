/** The token of `web`: where it stands, and how it is made. */
import { randomBytes } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DEFAULTS } from '../config.ts'
import { asDiskError, messageOf, systemCode, UsageError } from '../errors.ts'
import { makePrivateFolder } from '../library/atomic-file.ts'
import { isLoopbackAddress } from '../web/guard.ts'
import { TOKEN_PATTERN } from '../web/token.ts'

/** Nobody guesses 256 bits. */
const TOKEN_BYTES = 32
/** The longest token, and a line end or two. */
const MAX_FILE_BYTES = 204

export const TOKEN_OPTIONS = {
  'token-file': {
    type: 'string',
    requiresArg: true,
    defaultDescription: `${DEFAULTS.webToken} where others than this machine can reach the page`,
    describe: 'file with the token that requests must bring; made where it is missing',
  },
} as const

/** The values of {@link TOKEN_OPTIONS}. */
export interface TokenArguments {
  readonly host: string
  readonly tokenFile?: string | undefined
}

/** A token, and the file it is in. */
export interface TokenInFile {
  readonly token: string
  readonly file: string
}

/**
 * The token that requests must bring; null where the page is for this machine only and none was asked for.
 * @throws {UsageError} `bad-token`; {@link DiskError}
 */
export async function webToken({ host, tokenFile }: TokenArguments): Promise<TokenInFile | null> {
  if (tokenFile === undefined && isLoopbackAddress(host)) return null
  const file = tokenFile ?? DEFAULTS.webToken
  return { token: (await readToken(file)) ?? (await makeToken(file)), file }
}

async function readToken(path: string): Promise<string | null> {
  let text: string
  try {
    await using file = await open(path, 'r')
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES + 1))
    text = bytesRead > MAX_FILE_BYTES ? '' : buffer.toString('utf8', 0, bytesRead).trim()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw new UsageError('bad-token', `cannot read the token ${path}: ${messageOf(error)}`, { cause: error })
  }
  if (TOKEN_PATTERN.test(text)) return text
  throw new UsageError(
    'bad-token',
    `${path} holds no token: one line of 16 to 200 letters, digits or . ~ + / = _ -; remove it, and one is made`,
  )
}

async function makeToken(path: string): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  try {
    await makePrivateFolder(dirname(path))
    await using file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(`${token}\n`)
      await file.sync()
      return token
    } catch (error) {
      await unlink(path).catch(() => undefined) // half a token would stop every later start
      throw error
    }
  } catch (error) {
    // Another process was quicker by a moment.
    const other = systemCode(error) === 'EEXIST' ? await readToken(path) : null
    if (other !== null) return other
    throw asDiskError(error, path)
  }
}
