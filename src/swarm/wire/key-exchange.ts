/**
 * The Diffie-Hellman exchange of encrypted connections (MSE). The protocol library makes its group anew for each
 * connection, and each time OpenSSL tests whether the prime is one: 18 ms of a core for whoever opens a connection
 * with 96 random bytes, where the exchange itself takes a quarter of one. Here the group is made once.
 */
import { createDiffieHellman, type DiffieHellman, randomBytes } from 'node:crypto'

/** The group of MSE. */
const PRIME =
  'ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd' +
  'ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563'
const GENERATOR = 2
/** MSE asks for 128 to 160 bits; what it hides is worth no more, and longer ones only cost time. */
const PRIVATE_KEY_BYTES = 20

/** What an encryptor of the library asks of its exchange. */
export interface KeyExchange {
  generateKeys(): Buffer
  /** Throws on a key that is out of range. */
  computeSecret(publicKey: Uint8Array): Buffer
}

let group: DiffieHellman | undefined

/** One side of one exchange. */
function keyExchange(): KeyExchange {
  group ??= createDiffieHellman(PRIME, 'hex', GENERATOR)
  const shared = group
  const privateKey = randomBytes(PRIVATE_KEY_BYTES)
  return {
    generateKeys: () => {
      shared.setPrivateKey(privateKey)
      return shared.generateKeys()
    },
    computeSecret: (publicKey) => {
      shared.setPrivateKey(privateKey)
      return shared.computeSecret(publicKey)
    },
  }
}

/** Lets all encryptors use the one group; `dh` is where the library keeps its own. */
export function shareGroup(encryptor: object): void {
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
