/** What the doctor says of one thing. */

/** `note` does not fail: it is worth knowing. */
export type DoctorVerdict = 'ok' | 'note' | 'fail'

export interface Finding {
  /** Stable, for programs. */
  readonly id: string
  readonly title: string
  readonly verdict: DoctorVerdict
  /** What was found. */
  readonly found: string
  /** What to do about it; null when nothing is to be done. */
  readonly fix: string | null
}

/** A check by its name: gives findings about what it is made for. */
export function finder(id: string, title: string) {
  const finding =
    (verdict: DoctorVerdict) =>
    (found: string, fix: string | null = null): Finding => ({ id, title, verdict, found, fix })
  return { ok: finding('ok'), note: finding('note'), fail: finding('fail') }
}
