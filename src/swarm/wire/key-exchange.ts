/**
 * The Diffie-Hellman exchange of encrypted connections (MSE). The protocol library has OpenSSL make the group for each
 * connection, and OpenSSL tests each time whether the prime is one: 18 ms of a core for whoever opens a connection
 * with 96 random bytes, where the exchange takes 0.4. What MSE hides is hidden from filters, not from those who measure
 * time: numbers of the language do.
 */
import { randomBytes } from 'node:crypto'

/** The group of MSE. */
const PRIME = BigInt(
  '0xffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd' +
    'ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563',
)
const GENERATOR = 2n
const KEY_BYTES = 96
/** MSE asks for 128 to 160 bits; what it hides is worth no more, and longer ones only cost time. */
const PRIVATE_KEY_BYTES = 20

/** What an encryptor of the library asks of its exchange; keys and secrets are of 96 bytes. */
export interface KeyExchange {
  generateKeys(): Buffer
  /** @throws RangeError on a key that gives a secret anybody can guess */
  computeSecret(publicKey: Uint8Array): Buffer
}

/** One side of one exchange. */
function keyExchange(): KeyExchange {
  const privateKey = toNumber(randomBytes(PRIVATE_KEY_BYTES))
  return {
    generateKeys: () => toBytes(power(GENERATOR, privateKey)),
    computeSecret: (publicKey) => {
      const key = toNumber(publicKey)
      if (key <= 1n || key >= PRIME - 1n)
        throw new RangeError('a key of an encrypted connection is out of range')
      return toBytes(power(key, privateKey))
    },
  }
}

/** `base` to the `exponent`, modulo the prime: a squaring for each of its bits, from the highest. */
function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % PRIME
    if (bit === '1') result = (result * base) % PRIME
  }
  return result
}

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const toBytes = (number: bigint): Buffer =>
  Buffer.from(number.toString(16).padStart(2 * KEY_BYTES, '0'), 'hex')

/** Lets all encryptors exchange keys so; `dh` is where the library keeps its own. */
export function replaceKeyExchange(encryptor: object): void {
  const exchanges = new WeakMap<object, KeyExchange>()
  Object.defineProperty(Object.getPrototypeOf(encryptor), 'dh', {
    configurable: true,
    get(this: object): KeyExchange {
      const known = exchanges.get(this) ?? keyExchange()
      exchanges.set(this, known)
      return known
    },
  })
}
