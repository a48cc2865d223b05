/** The processor time this thread has used, in milliseconds: what a busy machine does meanwhile does not count. */
export function cpuTimeMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
