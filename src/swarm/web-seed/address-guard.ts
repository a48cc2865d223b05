/**
 * Which addresses an HTTP request may go to. A link from a stranger must not make this machine talk to itself, and a
 * mirror must not send it on to machines of its own network.
 */
import { lookup as dnsLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** `any`: a person named it. `not-here`: a link did. `public`: where a redirect to another host may lead. */
export type Reach = 'any' | 'not-here' | 'public'

const HERE = new BlockList()
HERE.addSubnet('127.0.0.0', 8)
HERE.addSubnet('0.0.0.0', 8)
HERE.addSubnet('169.254.0.0', 16) // also where clouds keep the secrets of their machines
HERE.addAddress('::1', 'ipv6')
HERE.addAddress('::', 'ipv6')
HERE.addSubnet('fe80::', 10, 'ipv6')

const PRIVATE = new BlockList()
PRIVATE.addSubnet('10.0.0.0', 8)
PRIVATE.addSubnet('172.16.0.0', 12)
PRIVATE.addSubnet('192.168.0.0', 16)
PRIVATE.addSubnet('100.64.0.0', 10)
PRIVATE.addSubnet('fc00::', 7, 'ipv6')

/** Whether an IP address is within reach. */
export function isWithin(reach: Reach, address: string): boolean {
  if (reach === 'any') return true
  // An IPv4 address written as IPv6, in digits and dots or as URLs have it (::ffff:7f00:1), is checked as IPv4.
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (HERE.check(address, family)) return false
  return reach === 'not-here' || !PRIVATE.check(address, family)
}

/** Why the host of a URL may not be asked, as far as that shows without a name server; undefined when it may. */
export function hostProblem(reach: Reach, { hostname }: URL): string | undefined {
  const host = hostname.replace(/^\[|\]$/g, '')
  return isIP(host) !== 0 && !isWithin(reach, host) ? refusal(host) : undefined
}

const refusal = (address: string): string => `it leads to ${address}, an address of this machine or network`

/** A look-up for `http.request` that fails for names whose address is out of reach. */
export function guardedLookup(reach: Reach): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '', 0)
      const bad = addresses.find(({ address }) => !isWithin(reach, address))
      if (bad !== undefined) {
        return callback(Object.assign(new Error(refusal(bad.address)), { code: 'ERR_OUT_OF_REACH' }), '', 0)
      }
      if (options.all) return callback(null, addresses)
      const [first] = addresses
      return callback(null, first?.address ?? '', first?.family ?? 4)
    })
  }
}
