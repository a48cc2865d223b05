/** What a host needs of the network: ports that are free, a DHT that answers, an address that others reach. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { messageOf, systemCode } from '../../errors.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import { addressTowards, isLoopback, isOwnAddress } from '../../swarm/address.ts'
import { askDhtNode } from '../../swarm/dht/dht-probe.ts'
import type { DhtChoice } from '../network.ts'
import { type Finding, finder } from './finding.ts'

/** RFC 1918 and RFC 6598: addresses that the internet does not route. */
const PRIVATE = /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/

/** A port to be opened, and the option that names it. */
export interface WantedPort {
  readonly protocol: 'TCP' | 'UDP'
  readonly bind: string
  readonly port: number
  readonly option: string
  readonly purpose: string
  /** Asked for: that it is taken is a failure. Otherwise it may be taken by the very thing it is for. */
  readonly isRequired: boolean
}

/** Whether a port can be opened, by opening it. */
export async function checkPort({
  protocol,
  bind,
  port,
  option,
  purpose,
  isRequired,
}: WantedPort): Promise<Finding> {
  const { ok, note, fail } = finder(`port-${option.slice(2)}`, `${protocol} port ${port}`)
  const error = await (protocol === 'TCP' ? tryTcp : tryUdp)(bind, port).then(
    () => null,
    (reason: unknown) => reason,
  )
  if (error === null) return ok(`free, for ${purpose}`)
  switch (systemCode(error)) {
    case 'EADDRINUSE':
      return (isRequired ? fail : note)(
        `in use; it is meant for ${purpose}`,
        `if that is not running already, stop the program that has it (\`ss -lnp\`), or choose another with ${option}`,
      )
    case 'EACCES':
      return fail('not allowed for this user', `choose one from 1024 up with ${option}`)
    case 'EADDRNOTAVAIL':
      return fail(
        `${bind} is no address of this machine`,
        'name one with --bind (`ip addr` shows them), or 0.0.0.0 for all',
      )
    default:
      return fail(messageOf(error), `choose another with ${option}`)
  }
}

function tryTcp(host: string, port: number): Promise<void> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}

function tryUdp(address: string, port: number): Promise<void> {
  const socket = createSocket('udp4')
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close()
      reject(error)
    })
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve()))
  })
}

/** Whether a node of the DHT answers; one of several is enough. */
export async function checkDht(
  nodes: readonly PeerAddress[],
  isPublic: boolean,
  signal: AbortSignal,
): Promise<Finding> {
  const { ok, note, fail } = finder('dht', isPublic ? 'Public DHT' : 'DHT')
  const answers = await Promise.all(
    nodes.map(async (node) => ({ node, answer: await askDhtNode(node, signal) })),
  )
  const names = (some: typeof answers): string => some.map(({ node }) => formatPeerAddress(node)).join(', ')
  const silent = answers.filter(({ answer }) => answer === null)
  const found = answers.flatMap(({ node, answer }) =>
    answer === null ? [] : [`${formatPeerAddress(node)} in ${Math.ceil(answer.roundTripMs)} ms`],
  )
  if (found.length === 0)
    return fail(`nobody answers at ${names(silent)}`, isPublic ? PUBLIC_FIX : privateFix(nodes))
  if (silent.length === 0) return ok(`answered: ${found.join(', ')}`)
  return note(
    `answered: ${found.join(', ')}; silent: ${names(silent)}`,
    isPublic ? null : privateFix(silent.map(({ node }) => node)),
  )
}

const PUBLIC_FIX =
  'let UDP out of this network, and check that names are resolved (`getent hosts router.bittorrent.com`)'

function privateFix(nodes: readonly PeerAddress[]): string {
  const [first] = nodes
  const there = first === undefined || isOwnAddress(first.host) ? 'on this machine' : `on ${first.host}`
  const open =
    first === undefined || isOwnAddress(first.host)
      ? ''
      : `, and let UDP ${first.port} to ${first.port + 12} through its firewall`
  return `run \`gguf-swarm bootstrap\` ${there}${open}; or name another node with --bootstrap`
}

/** Which address others know this host by. Only another machine can tell whether it gets through. */
export async function checkAddress(
  dht: DhtChoice,
  advertised: readonly string[],
  target: PeerAddress,
): Promise<Finding> {
  const { ok, note, fail } = finder('address', 'Address')
  if (advertised.length > 0)
    return ok(
      `others are told ${advertised.join(', ')}; \`verify\` from another machine shows if they get through`,
    )
  const own = await addressTowards(target)
  if (own === undefined) {
    return fail(
      `there is no way to ${formatPeerAddress(target)}`,
      'check the cable, the route (`ip route`) and the name',
    )
  }
  if (isLoopback(own)) {
    return note(
      `the bootstrap node is named by ${target.host}, which no other machine can use`,
      'give other machines an address of this one; --bootstrap ADDRESS:PORT works here too',
    )
  }
  if (dht.kind === 'public' && PRIVATE.test(own)) {
    return note(
      `${own} is not reachable from the internet: this host fetches, and is fetched from by whoever it dials`,
      'forward a port on the router, and give it with --port and --advertise HOST:PORT',
    )
  }
  return ok(
    `${own}; let TCP and UDP of this host's ports through its firewall; ` +
      '`verify` from another machine shows if they get through',
  )
}
