/** A bare UDP socket that speaks to a DHT node in bytes of the test's choice. */
import assert from 'node:assert/strict'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { TestContext } from 'node:test'
import bencode from 'bencode'
import { DhtNode, type DhtOptions } from '../../src/swarm/dht/dht.ts'
import { afterTest } from '../helpers/after-test.ts'
import { until } from '../helpers/until.ts'

/** A decoded reply and the bytes it came in. */
export interface Reply {
  readonly message: Record<string, Record<string, unknown> | Uint8Array | unknown[] | undefined>
  readonly bytes: Buffer
}

/** 20 bytes that are all the same. */
export const idOf = (byte: number): Buffer => Buffer.alloc(20, byte)

/** One address that sends and hears datagrams. */
export class RawNode {
  readonly socket: Socket
  readonly heard: { readonly bytes: Buffer; readonly from: RemoteInfo }[] = []
  #transaction = 0

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('message', (bytes, from) => {
      if (this.heard.length < 10_000) this.heard.push({ bytes, from })
    })
  }

  get port(): number {
    return this.socket.address().port
  }

  send(bytes: Uint8Array, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.send(bytes, port, '127.0.0.1', (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Sends a query, with `more` beside its arguments, and waits for the reply to it. */
  async ask(
    port: number,
    q: string,
    args: Record<string, unknown>,
    { more = {}, timeoutMs = 30_000 }: { readonly more?: object; readonly timeoutMs?: number } = {},
  ): Promise<Reply> {
    const t = Buffer.from((++this.#transaction).toString(36).padStart(4, '0'))
    await this.send(bencode.encode({ t, y: 'q', q, a: { id: idOf(7), ...args }, ...more }), port)
    const mark = `1:t4:${t.toString()}`
    const { bytes } = await until(() => this.heard.find(({ bytes }) => bytes.includes(mark)), {
      timeoutMs,
      what: `reply to ${q}`,
      everyMs: 2,
    })
    return { message: bencode.decode(bytes) as Reply['message'], bytes }
  }

  /** What the node at `port` wants back with our announces (BEP 5). */
  async tokenOf(port: number): Promise<Uint8Array> {
    const { message } = await this.ask(port, 'get_peers', { info_hash: idOf(1) })
    const { token } = message['r'] as { token?: unknown }
    assert.ok(token instanceof Uint8Array)
    return token
  }
}

export async function rawNode(t: TestContext, host = '127.0.0.1'): Promise<RawNode> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  afterTest(t, () => new Promise<void>((resolve) => socket.close(resolve)))
  return new RawNode(socket)
}

export async function dhtNode(t: TestContext, options: Partial<DhtOptions> = {}): Promise<DhtNode> {
  const node = await DhtNode.start({
    port: 0,
    bind: '127.0.0.1',
    bootstrap: [],
    readOnly: false,
    storedPeerMaxAgeMs: 45 * 60_000,
    listener: {},
    ...options,
  })
  afterTest(t, () => node.stop())
  return node
}
