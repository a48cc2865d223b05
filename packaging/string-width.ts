/**
 * Stands for `string-width` in the bundle, for whoever imports it. The library makes what it knows of emoji and other
 * scripts when it is loaded: 34 ms of each start of the program. Here it is loaded for the first text that is more than
 * plain ASCII; for that it gives the length as well.
 */
import type measure from 'string-width'

/** The bundler's: the module is evaluated when this is called. */
declare const require: (name: 'string-width') => { readonly default: typeof measure }

const PLAIN = /^[ -~]*$/

const stringWidth: typeof measure = (text, options) =>
  PLAIN.test(text) ? text.length : require('string-width').default(text, options)

export default stringWidth
