/** `gguf-swarm doctor [dir..]`: what keeps a host from running well on this machine, and how to fix it. */
import type { Argv } from 'yargs'
import { DEFAULTS, parseAddressOption, parsePortOption } from '../config.ts'
import { FailedError } from '../errors.ts'
import { examine } from '../fleet/doctor/doctor.ts'
import type { Finding } from '../fleet/doctor/finding.ts'
import { printable } from '../log.ts'
import { type CommandContext, jsonWriter } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import {
  DHT_OPTIONS,
  dhtChoice,
  HOST_OPTIONS,
  JSON_OPTION,
  LISTEN_OPTIONS,
  SHARD_FOLDERS,
} from './options.ts'
import { seedCommand } from './seed.ts'
import { wrap } from './table.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('dir', SHARD_FOLDERS)
    .options({
      ...LISTEN_OPTIONS,
      ...DHT_OPTIONS,
      ...HOST_OPTIONS,
      ...JSON_OPTION,
    } as const)
    .example('$0 doctor', 'a host as `seed` would start it here')
    .example('$0 doctor /srv/models --port 6881 --bootstrap 10.0.0.1:51820', 'one with these options')

type DoctorArguments = ArgumentsOf<typeof builder>

async function runDoctor(args: DoctorArguments, context: CommandContext): Promise<void> {
  const port = (value: number | undefined, option: string): number | null =>
    value === undefined || value === 0 ? null : parsePortOption(value, option)
  const { dir = [], stateDir, torrentsDir, bind, maxConns, advertise = [] } = args
  for (const text of advertise) parseAddressOption(text, '--advertise')
  const ports = { port: port(args.port, '--port'), dhtPort: port(args.dhtPort, '--dht-port') }
  const dht = dhtChoice(args.bootstrap, args.public)
  const findings = await examine(
    {
      folders: dir.length > 0 ? dir : [DEFAULTS.shardsDir],
      stateDir,
      torrentsDir,
      bind,
      ...ports,
      dht,
      advertise,
      maxConns,
    },
    context.signal,
  )
  const failed = findings.filter(({ verdict }) => verdict === 'fail')
  if (args.json) {
    const write = jsonWriter(context.out)
    for (const finding of findings) write({ event: 'check', ...finding })
    write({ event: 'doctor', ...{ ok: failed.length === 0, failed: failed.length } })
  } else {
    const { terminal } = context
    const columns = terminal?.columns() ?? Number.POSITIVE_INFINITY
    for (const line of renderFindings(findings, columns, terminal?.hasColours ?? false))
      context.out(`${line}\n`)
  }
  if (failed.length === 0) return
  throw new FailedError(
    'not-well',
    `${failed.length} of ${findings.length} checks failed: ${failed.map(({ title }) => title).join(', ')}`,
  )
}

const MARKS = { ok: '✓', note: '!', fail: '✗' } as const
const COLOURS = { ok: 32, note: 33, fail: 31 } as const

/** A line for each finding, and one below it that says what to do. Pure. */
export function renderFindings(
  findings: readonly Finding[],
  columns: number,
  hasColours: boolean,
): readonly string[] {
  const width = Math.max(...findings.map(({ title }) => title.length))
  const indent = ' '.repeat(width + 4) // the mark, and two spaces
  return findings.flatMap(({ title, verdict, found, fix }) => {
    const line = `${MARKS[verdict]} ${title.padEnd(width)}  ${printable(found)}`
    const [first = '', ...rest] = wrap(line, columns, indent)
    const advice = fix === null ? [] : wrap(`→ ${printable(fix)}`, columns - indent.length, '  ')
    const marked = hasColours ? `\x1b[${COLOURS[verdict]}m${first[0]}\x1b[39m${first.slice(1)}` : first
    return [marked, ...rest, ...advice.map((one) => indent + one)]
  })
}

/** The `doctor` command. */
export const doctorCommand = {
  command: 'doctor [dir..]',
  describe: 'Check this machine for a host: ports, DHT, clock, disk, limits; says how to fix what is wrong',
  // What is set for `seed` is what is to be examined.
  like: seedCommand.command.split(' ')[0],
  builder,
  run: runDoctor,
}
