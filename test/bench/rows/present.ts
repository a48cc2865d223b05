/** Which of a row's implementations are there, and wanted. */
import type { Client } from '../clients/client.ts'
import type { Bench } from '../model.ts'

export function present(
  { contenders, quick }: Bench,
  clients: readonly Client[],
): { readonly there: readonly Client[]; readonly missing: readonly string[] } {
  const wanted = clients.filter(({ name, slow }) =>
    contenders.length === 0 ? !(quick && slow) : contenders.includes(name),
  )
  return {
    there: wanted.filter((client) => client.version() !== null),
    missing: wanted
      .filter((client) => client.version() === null)
      .map(({ name }) => `${name} is not installed`),
  }
}
