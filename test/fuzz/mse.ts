/** The initiator's side of an encrypted opening (MSE), of which each part can be made wrong. */
import { createDiffieHellman, createHash, randomBytes } from 'node:crypto'

const PRIME =
  'ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd' +
  'ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563'
const KEY_BYTES = 96
/** RC4's first kilobyte is thrown away. */
const DISCARDED_BYTES = 1024

const group = createDiffieHellman(PRIME, 'hex', 2)
const sha1 = (...parts: readonly (string | Uint8Array)[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha1')).digest()

/** What the initiator says in its second turn. */
export interface Opening {
  readonly provide: number
  /** Said and real lengths of the padding and of the first payload, which need not agree. */
  readonly padding: Uint8Array
  readonly paddingLength: number
  readonly payloadLength: number
  readonly payload: Uint8Array
}

/** One conversation: `first` is said at once, `second` after the other side's key has come. */
export class Initiator {
  readonly first: Buffer
  readonly #privateKey = randomBytes(20)

  constructor(padding: Uint8Array) {
    group.setPrivateKey(this.#privateKey)
    const key = group.generateKeys()
    this.first = Buffer.concat([Buffer.alloc(KEY_BYTES - key.length), key, padding])
  }

  /** `reply` begins with the other side's key. */
  second(reply: Buffer, infoHash: string, opening: Opening): Buffer {
    group.setPrivateKey(this.#privateKey)
    const secret = group.computeSecret(reply.subarray(0, KEY_BYTES))
    const topic = Buffer.from(infoHash, 'hex')
    const hidden = sha1('req2', topic)
    for (const [at, byte] of sha1('req3', secret).entries()) hidden[at]! ^= byte
    const encrypt = rc4(sha1('keyA', secret, topic))
    const { provide, padding, paddingLength, payloadLength, payload } = opening
    const head = Buffer.alloc(14)
    head.writeUInt32BE(provide >>> 0, 8)
    head.writeUInt16BE(paddingLength & 0xffff, 12)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(payloadLength & 0xffff)
    return Buffer.concat([
      sha1('req1', secret),
      hidden,
      encrypt(Buffer.concat([head, padding, length, payload])),
    ])
  }
}

function rc4(key: Buffer): (bytes: Buffer) => Buffer {
  const box = Uint8Array.from({ length: 256 }, (_, index) => index)
  for (let index = 0, other = 0; index < 256; index++) {
    other = (other + box[index]! + key[index % key.length]!) & 0xff
    ;[box[index], box[other]] = [box[other]!, box[index]!]
  }
  let [at, other] = [0, 0]
  const next = (): number => {
    at = (at + 1) & 0xff
    other = (other + box[at]!) & 0xff
    ;[box[at], box[other]] = [box[other]!, box[at]!]
    return box[(box[at]! + box[other]!) & 0xff]!
  }
  for (let count = 0; count < DISCARDED_BYTES; count++) next()
  return (bytes) => Buffer.from(bytes.map((byte) => byte ^ next()))
}
