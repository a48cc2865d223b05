/** `gguf-swarm verify`: the checklist against the live fleet, as a table, as events, and as a report. */
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { Argv } from 'yargs'
import { FailedError, messageOf, NotFoundError, type SwarmError, UsageError } from '../errors.ts'
import { Coordinator } from '../fleet/coordinator.ts'
import { fleetLabel } from '../fleet/membership/fleet-key.ts'
import { bootstrapNames } from '../fleet/verify/dht-checks.ts'
import type { HostLog } from '../fleet/verify/log-lines.ts'
import { renderReport, verdictLine } from '../fleet/verify/report.ts'
import { type Verification, type VerifyOptions, verifyFleet } from '../fleet/verify/verify.ts'
import { writeFileAtomic } from '../library/atomic-file.ts'
import { printable } from '../log.ts'
import { formatPeerAddress } from '../metainfo/peer-address.ts'
import { ALLOW_OPTIONS, allowedPeers } from './allow.ts'
import { type CommandContext, jsonWriter } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { rememberNames } from './known-names.ts'
import { COORDINATOR_OPTIONS, coordinatorOptions, JSON_OPTION } from './options.ts'
import { checkEvent, renderCheck, verdictEvent } from './verify-output.ts'

/** A host is met some seconds after its start; a fleet of many tells its catalogues for a while. */
const TIMEOUT_SECONDS = 30
/** Random pieces of each copy: little to fetch, and a disk that rots in many places is found by some run. */
const SAMPLE_PIECES = 2

const builder = (yargs: Argv) =>
  yargs
    .options({
      'expect-hosts': { type: 'number', requiresArg: true, describe: 'fail with fewer hosts online' },
      'expect-copies': {
        type: 'number',
        requiresArg: true,
        describe: 'fail with fewer whole copies over all shards (4 shards on 4 hosts: 16)',
      },
      sample: {
        type: 'number',
        default: SAMPLE_PIECES,
        requiresArg: true,
        describe: 'random pieces to fetch and check, of each shard of each host',
      },
      whole: {
        type: 'boolean',
        default: false,
        describe: 'download every shard in full, instead of the smallest alone',
      },
      log: {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'log of a host (its stderr, or its --json events); repeatable, a file a host',
      },
      report: {
        type: 'string',
        requiresArg: true,
        describe: 'write the test report (Markdown) to this file',
      },
      timeout: {
        type: 'number',
        default: TIMEOUT_SECONDS,
        requiresArg: true,
        describe: 'seconds to wait for hosts, and for what is expected',
      },
      'temp-dir': {
        type: 'string',
        default: tmpdir(),
        defaultDescription: "the system's",
        requiresArg: true,
        describe: 'where downloads go, one shard at a time',
      },
      ...COORDINATOR_OPTIONS,
      ...ALLOW_OPTIONS,
      ...JSON_OPTION,
    } as const)
    .example('$0 verify --expect-hosts 4 --expect-copies 16 --report report.md', 'the whole list, strict')

type VerifyArguments = ArgumentsOf<typeof builder>

async function runVerify(args: VerifyArguments, context: CommandContext): Promise<void> {
  const settings = verifySettings(args)
  const logs = args.log === undefined ? null : await Promise.all(args.log.map(readLog))
  const coordinator = await coordinatorOptions(args)
  const allowed = allowedPeers(args, coordinator)
  const { promise: failed, resolve: fail } = Promise.withResolvers<SwarmError>()
  const stop = new AbortController()
  void failed.then((error) => stop.abort(error))
  await using running = await Coordinator.start({
    ...coordinator,
    allowed,
    watchesSwarms: false,
    onFailed: fail,
  })
  const bootstraps = bootstrapNames(coordinator.dht)
  const fleet = fleetLabel(coordinator.key)
  const write = args.json ? jsonWriter(context.out) : null
  if (write === null) {
    context.err(
      `Verifying the ${printable(fleet)} through ${bootstraps.map(formatPeerAddress).join(', ')} …\n`,
    )
  }
  const verification = await verifyFleet(
    { ...settings, logs, member: running.member, dht: coordinator.dht, bind: coordinator.bind, allowed },
    (check) => {
      if (write !== null) write(checkEvent(check))
      else context.err(renderCheck(check, context.isInteractive ? context.columns() : undefined))
    },
    AbortSignal.any([context.signal, stop.signal]),
  )
  if (args.report !== undefined) {
    const { rendezvous } = running.member
    const report = { fleet, rendezvous, bootstraps, settings: settingsInWords(args) }
    await writeFileAtomic(args.report, renderReport(verification, report), { mode: 0o644 })
  }
  await rememberNames(coordinator.key, running.status.shards)
  const failure = failureOf(verification)
  // The verdict is the last event; in words, the failure is.
  if (args.json && failure !== null) context.fail(failure)
  tell(verification, args, context)
  if (!args.json && failure !== null) throw failure
}

function verifySettings(
  args: VerifyArguments,
): Pick<VerifyOptions, 'expected' | 'sample' | 'whole' | 'tempDir' | 'timeoutMs'> {
  const count = (value: number | undefined, option: string): number | null => {
    if (value === undefined) return null
    if (Number.isInteger(value) && value >= 0) return value
    throw new UsageError('bad-count', `${option}: give a whole number from 0 up`)
  }
  if (!(args.timeout > 0)) throw new UsageError('bad-timeout', '--timeout: give a number of seconds')
  const { whole, tempDir } = args
  return {
    expected: {
      hosts: count(args.expectHosts, '--expect-hosts'),
      copies: count(args.expectCopies, '--expect-copies'),
    },
    sample: count(args.sample, '--sample') ?? SAMPLE_PIECES,
    whole,
    tempDir,
    timeoutMs: args.timeout * 1000,
  }
}

function settingsInWords({
  expectHosts,
  expectCopies,
  sample,
  whole,
  log,
}: VerifyArguments): readonly string[] {
  return [
    `Expected: ${expectHosts ?? 'any number of'} hosts, ${expectCopies ?? 'any number of'} whole copies`,
    `${sample} random pieces of each copy fetched from its host`,
    `Downloaded in full: ${whole ? 'every shard' : 'the smallest shard'}`,
    `Logs: ${log?.join(', ') ?? 'none given'}`,
  ]
}

async function readLog(path: string): Promise<HostLog> {
  try {
    return { name: path, lines: (await readFile(path, 'utf8')).split('\n') }
  } catch (error) {
    throw new UsageError('bad-log', `--log: cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}

function tell(verification: Verification, args: VerifyArguments, context: CommandContext): void {
  if (args.json) {
    jsonWriter(context.out)(verdictEvent(verification, args.report ?? null))
    return
  }
  context.err(`${printable(verdictLine(verification))}\n`)
  if (args.report !== undefined) context.out(`${args.report}\n`)
}

/** Exit code 3 for a fleet that is not there, 1 for one that does not hold. */
function failureOf({ ok, checks, picture }: Verification): SwarmError | null {
  if (ok) return null
  if (picture.hosts.length === 0) {
    const { problems } = checks.find(({ id }) => id === 'coordinator')!
    return new NotFoundError('no-fleet', problems[0] ?? 'no host of this fleet was found')
  }
  const failed = checks.filter(({ verdict }) => verdict === 'fail')
  const names = failed.map(({ number, title }) => `${number} (${title})`)
  return new FailedError('not-verified', `the fleet does not hold: see check ${names.join(', ')}`)
}

/** The `verify` command. */
export const verifyCommand = {
  command: 'verify',
  describe: 'Check the whole live fleet: hosts, shards, DHT, a download; exit code 0 only if all holds',
  builder,
  run: runVerify,
}
