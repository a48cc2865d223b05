/** The place in the swarm of a process that comes and goes: a download, or one that only looks at a fleet. */
import { randomBytes } from 'node:crypto'
import { DEFAULTS } from '../config.ts'
import type { DhtChoice, NetworkOptions, PortChoice } from './network.ts'

/** What differs from one to the next. */
export interface VisitorSettings {
  readonly bind: string
  readonly port: PortChoice
  readonly dhtPort: PortChoice
  readonly dht: DhtChoice
  /** Whether it is there for long enough to stand in others' routing tables. */
  readonly stays: boolean
}

/** Complete settings: a new identity each time. */
export function visitorNetwork({ stays, ...settings }: VisitorSettings): NetworkOptions {
  return {
    ...settings,
    uploadLimit: null,
    maxConns: DEFAULTS.maxConns,
    advertise: [],
    nodeId: randomBytes(20).toString('hex'),
    savedNodes: [],
    readOnly: !stays,
    identity: randomBytes(20).toString('hex'),
  }
}
