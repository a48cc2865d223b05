/** A web server of its own process that shows a made fleet, to be asked by more than it can answer. */
import { WEB_LIMITS } from '../../src/web/limits.ts'
import { WebServer } from '../../src/web/server.ts'
import { MadeSource, madeFleet } from '../web/fleet-kit.ts'

const source = new MadeSource(madeFleet(20, 100))
const server = await WebServer.start({
  source,
  host: '127.0.0.1',
  port: 0,
  livePort: 0,
  allowHosts: [],
  limits: WEB_LIMITS,
  log: { info() {}, warn() {} },
})
process.stdout.write(
  `${JSON.stringify({ event: 'listening', port: server.port, livePort: server.livePort })}\n`,
)
