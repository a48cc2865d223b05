/** Work that is not done twice. */

/**
 * A function that works out anew only when an argument is another than the last time.
 * @template {readonly unknown[]} Arguments
 * @template Result
 * @param {(...args: Arguments) => Result} work
 * @returns {(...args: Arguments) => Result}
 */
export function remember(work) {
  /** @type {{ args: Arguments, result: Result } | undefined} */
  let last
  return (...args) => {
    const known = last
    if (known === undefined || args.some((value, index) => !Object.is(value, known.args[index]))) {
      last = { args, result: work(...args) }
      return last.result
    }
    return known.result
  }
}
