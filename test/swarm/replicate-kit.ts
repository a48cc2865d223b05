/** What tests of replication look at: a host's events, and the files it has in the end. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Fleet, FleetHost } from '../helpers/fleet.ts'
import type { CliEvent, EventNamed } from '../helpers/process.ts'
import { visibleFiles } from '../helpers/swarm.ts'

export const MIB = 1024 * 1024
/** Longer than hosts take to decide again, and to see what the others decided. */
export const QUIET_MS = 8_000

type Named<Name extends CliEvent['event']> = EventNamed<CliEvent, Name>

export function eventsOf<Name extends CliEvent['event']>(
  { cli }: FleetHost,
  name: Name,
): readonly Named<Name>[] {
  return cli.events().filter((event): event is Named<Name> => event.event === name)
}

export async function assertCopies(host: FleetHost, originals: readonly string[]): Promise<void> {
  assert.deepEqual(await visibleFiles(host.folder), originals.map((path) => basename(path)).sort())
  for (const original of originals) {
    const [wanted, got] = [await readFile(original), await readFile(join(host.folder, basename(original)))]
    assert.ok(wanted.equals(got), `${host.name} has other bytes in ${basename(original)}`)
  }
  assert.deepEqual(await readdir(host.folder), await visibleFiles(host.folder), 'nothing hidden is left')
}

/** How many hosts seed each of the originals. */
export async function copiesOf(
  hosts: readonly FleetHost[],
  originals: readonly string[],
): Promise<readonly number[]> {
  const folders = await Promise.all(hosts.map(({ folder }) => visibleFiles(folder)))
  return originals.map((path) => folders.filter((names) => names.includes(basename(path))).length)
}

export async function untilAll(
  hosts: readonly FleetHost[],
  { originals }: Pick<Fleet, 'originals'>,
): Promise<void> {
  await Promise.all(hosts.flatMap((host) => originals.map((path) => host.announced(basename(path)))))
}
