/**
 * The bare block puller: one TCP connection, so many requests in flight, the data dropped. What it draws is
 * what a seeder can push. `node puller.ts JSON`; prints `{"event":"done", …}`.
 *
 * With `check`, every piece is put together and hashed, and nothing is measured.
 */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

interface PullJob {
  readonly host: string
  readonly port: number
  readonly infoHash: string
  readonly length: number
  readonly pieceLength: number
  /** Draw no more than so much, from the front. */
  readonly mostBytes?: number
  readonly inFlight: number
  readonly torrentFile: string
  readonly check: boolean
}

const job = JSON.parse(process.argv[2]!) as PullJob
const BLOCK = 16 * 1024
const RECEIVE_BYTES = 256 * 1024
const REQUEST_BYTES = 17
/** Requests go out in batches of at least this many. */
const BATCH = 64
const HANDSHAKE_BYTES = 68

const blocks = Math.ceil(Math.min(job.length, job.mostBytes ?? job.length) / BLOCK)
const blocksPerPiece = job.pieceLength / BLOCK
const pieceHashes = job.check ? readPieceHashes() : null
const pieces = new Map<number, { readonly bytes: Buffer; missing: number }>()

let requested = 0
let received = 0
let inFlight = 0
let receivedBytes = 0
let unchoked = false
let startedAt = 0
let firstBlockAt = 0

/** The parser: what of the current message is still to come. */
let handshake = HANDSHAKE_BYTES
const head = Buffer.alloc(13)
let headFilled = 0
let payloadLeft = 0
let blockAt = 0
let blockPiece = 0
let skipping = false

const socket = connect({
  host: job.host,
  port: job.port,
  noDelay: true,
  onread: {
    buffer: Buffer.alloc(RECEIVE_BYTES),
    callback: (length, buffer) => {
      take(buffer as Buffer, length)
      return true
    },
  },
})
socket.on('error', (error) => fail(error.message))
socket.on(
  'close',
  () => received < blocks && fail(`the seeder hung up after ${received} of ${blocks} blocks`),
)
socket.on('connect', () => {
  const hello = Buffer.alloc(HANDSHAKE_BYTES)
  hello.write('\x13BitTorrent protocol', 0, 'latin1')
  Buffer.from(job.infoHash, 'hex').copy(hello, 28)
  hello.write(`-XX0001-${String(process.pid).padStart(12, '0')}`, 48, 'latin1')
  socket.write(hello)
  startedAt = performance.now()
})

function take(data: Buffer, length: number): void {
  let at = 0
  if (handshake > 0) {
    at = Math.min(handshake, length)
    handshake -= at
    if (handshake === 0) socket.write(Buffer.from([0, 0, 0, 1, 2])) // interested
  }
  while (at < length) {
    if (payloadLeft > 0) {
      const step = Math.min(payloadLeft, length - at)
      if (!skipping && pieceHashes !== null) {
        data.copy(pieces.get(blockPiece)!.bytes, blockAt, at, at + step)
        blockAt += step
      }
      payloadLeft -= step
      at += step
      if (payloadLeft === 0 && !skipping) blockDone()
      continue
    }
    const wanted = headFilled < 5 ? 5 : 13
    const step = Math.min(wanted - headFilled, length - at)
    data.copy(head, headFilled, at, at + step)
    headFilled += step
    at += step
    if (headFilled >= 4 && head.readUInt32BE(0) === 0) {
      head.copyWithin(0, 4, headFilled) // a keep-alive
      headFilled -= 4
      continue
    }
    if (headFilled === 5 && head[4] !== 7) message(head[4]!, head.readUInt32BE(0) - 1)
    else if (headFilled === 13) blockBegins(head.readUInt32BE(0) - 9)
  }
  if (unchoked) ask()
}

function message(id: number, length: number): void {
  headFilled = 0
  payloadLeft = length
  skipping = true
  if (id === 1) unchoked = true
  if (id === 0) unchoked = false
  if (id === 0 && received < blocks && requested > 0) fail('the seeder choked us')
}

function blockBegins(length: number): void {
  headFilled = 0
  payloadLeft = length
  skipping = false
  firstBlockAt ||= performance.now()
  receivedBytes += length
  blockPiece = head.readUInt32BE(5)
  blockAt = head.readUInt32BE(9)
  if (pieceHashes === null || pieces.has(blockPiece)) return
  const size = Math.min(job.pieceLength, job.length - blockPiece * job.pieceLength)
  pieces.set(blockPiece, { bytes: Buffer.alloc(size), missing: Math.ceil(size / BLOCK) })
}

function blockDone(): void {
  received++
  inFlight--
  const piece = pieces.get(blockPiece)
  if (piece !== undefined && --piece.missing === 0) {
    pieces.delete(blockPiece)
    const expected = pieceHashes!.subarray(blockPiece * 20, blockPiece * 20 + 20)
    if (Buffer.compare(hash('sha1', piece.bytes, 'buffer'), expected) !== 0) {
      fail(`piece ${blockPiece} is not what was hashed`)
    }
  }
  if (received === blocks) done()
}

function ask(): void {
  const room = Math.min(job.inFlight - inFlight, blocks - requested)
  if (room <= 0 || (room < BATCH && requested + room < blocks && inFlight > 0)) return
  const batch = Buffer.allocUnsafe(room * REQUEST_BYTES)
  for (let index = 0, at = 0; index < room; index++, at += REQUEST_BYTES) {
    const block = requested++
    batch.writeUInt32BE(13, at)
    batch[at + 4] = 6
    batch.writeUInt32BE(Math.floor(block / blocksPerPiece), at + 5)
    batch.writeUInt32BE((block % blocksPerPiece) * BLOCK, at + 9)
    batch.writeUInt32BE(Math.min(BLOCK, job.length - block * BLOCK), at + 13)
  }
  inFlight += room
  socket.write(batch)
}

function done(): void {
  const endedAt = performance.now()
  const [tookMs, firstBlockMs] = [endedAt - startedAt, firstBlockAt - startedAt]
  console.log(JSON.stringify({ event: 'done', bytes: receivedBytes, tookMs, firstBlockMs }))
  socket.destroy()
}

function fail(message: string): never {
  console.log(JSON.stringify({ event: 'failed', message }))
  process.exit(1)
}

function readPieceHashes(): Buffer {
  const bytes = readFileSync(job.torrentFile)
  const key = Buffer.from('6:pieces')
  const at = bytes.indexOf(key) + key.length
  const colon = bytes.indexOf(':', at)
  const length = Number(bytes.subarray(at, colon).toString('latin1'))
  return bytes.subarray(colon + 1, colon + 1 + length)
}
