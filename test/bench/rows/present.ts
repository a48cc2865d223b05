/** Which of a row's implementations are there, and wanted. */
import type { Client } from '../clients/client.ts'
import type { Bench } from '../model.ts'

export function present(
  { contenders }: Bench,
  clients: readonly Client[],
): { readonly there: readonly Client[]; readonly missing: readonly string[] } {
  const wanted = clients.filter(({ name }) => contenders.length === 0 || contenders.includes(name))
  return {
    there: wanted.filter((client) => client.version() !== null),
    missing: wanted
      .filter((client) => client.version() === null)
      .map(({ name }) => `${name} is not installed`),
  }
}
