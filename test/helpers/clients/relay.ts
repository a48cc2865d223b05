/**
 * Run in a network namespace, makes a port of its loopback reachable from outside: unix sockets belong to the
 * file system, not to the network. `node relay.ts SOCKET PORT`.
 */
import { connect, createServer } from 'node:net'

const [socketPath, port] = process.argv.slice(2)

createServer((outer) => {
  const inner = connect(Number(port), '127.0.0.1')
  outer.pipe(inner).pipe(outer)
  // Either side may go at any time, for instance while the client is not up yet; the other one follows.
  outer.on('error', () => inner.destroy()).on('close', () => inner.destroy())
  inner.on('error', () => outer.destroy()).on('close', () => outer.destroy())
}).listen(socketPath, () => console.log(JSON.stringify({ event: 'listening' })))
