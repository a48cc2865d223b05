/** Which of a row's implementations are there, and wanted. */
import { lacking } from '../../helpers/requirements.ts'
import type { Client } from '../clients/client.ts'
import type { Bench } from '../model.ts'

export function present(
  { contenders, quick }: Bench,
  clients: readonly Client[],
): { readonly there: readonly Client[]; readonly missing: readonly string[] } {
  const wanted = clients.filter(({ name, slow }) =>
    contenders.length === 0 ? !(quick && slow) : contenders.includes(name),
  )
  const absent = wanted.filter(({ requirements }) => lacking(requirements).length > 0)
  return {
    there: wanted.filter((client) => !absent.includes(client)),
    missing: absent.map(({ name }) => `${name} is not installed`),
  }
}
