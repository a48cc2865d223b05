/** The verification that `up` runs when every host has every shard. */
import { tmpdir } from 'node:os'
import { Coordinator } from '../fleet/coordinator.ts'
import type { LocalFleet, LocalFleetOptions } from '../fleet/local-fleet.ts'
import { fleetLabel, loadKeyFile } from '../fleet/membership/fleet-key.ts'
import { renderReport, verdictLine } from '../fleet/verify/report.ts'
import { verifyFleet } from '../fleet/verify/verify.ts'
import { writeFileAtomic } from '../library/atomic-file.ts'
import { printable } from '../log.ts'
import type { Board } from './board.ts'
import type { CommandContext, jsonWriter } from './context.ts'
import { rememberNames } from './known-names.ts'
import { checkEvent, renderCheck, verdictEvent } from './verify-output.ts'

/** What is whole and registered at every host is in every catalogue within a heartbeat or two. */
const VERIFY_WAIT_MS = 20_000
/** Random pieces of each copy, as `verify` takes them. */
const SAMPLE_PIECES = 2

/** What is verified, and where the outcome goes. */
export interface LocalVerification {
  readonly fleet: LocalFleet
  readonly board: Board
  readonly options: LocalFleetOptions
  readonly report: string | null
  readonly json: ReturnType<typeof jsonWriter> | null
}

/** The checklist against what has been started; a fleet that does not hold stays up, so that one can look. */
export async function verifyLocal(
  { fleet, board, options, report, json }: LocalVerification,
  context: CommandContext,
): Promise<void> {
  const { bind, hosts, keyFile } = options
  const dht = { kind: 'private', bootstrap: [fleet.bootstrap] } as const
  const key = await loadKeyFile(keyFile)
  const port = { port: 0, required: false }
  await using coordinator = await Coordinator.start({
    bind,
    port,
    dhtPort: port,
    dht,
    key,
    wantedReplicas: hosts,
    watchesSwarms: false,
  })
  const expected = { hosts, copies: hosts * board.shards().length }
  context.err('\n')
  const verification = await verifyFleet(
    {
      member: coordinator.member,
      dht,
      bind,
      expected,
      sample: SAMPLE_PIECES,
      whole: false,
      tempDir: tmpdir(),
      timeoutMs: VERIFY_WAIT_MS,
      logs: board.logs,
    },
    (check) => {
      json?.(checkEvent(check))
      context.err(renderCheck(check, context.isInteractive ? context.columns() : undefined))
    },
    context.signal,
  ).catch((error: unknown) => {
    if (context.signal.aborted) return null
    throw error
  })
  if (verification === null) return
  await rememberNames(key, coordinator.status.shards)
  json?.(verdictEvent(verification, report))
  context.err(`${printable(verdictLine(verification))}\n\n`)
  if (report === null) return
  const settings = [
    `Expected: ${hosts} hosts, ${expected.copies} whole copies`,
    `${SAMPLE_PIECES} random pieces of each copy fetched from its host`,
  ]
  const { rendezvous } = coordinator.member
  const about = { fleet: fleetLabel(key), rendezvous, bootstraps: [fleet.bootstrap], settings }
  await writeFileAtomic(report, renderReport(verification, about), { mode: 0o644 })
}
