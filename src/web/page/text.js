/** Text that came from the network: shown as text, kept apart from the direction of what is around it. */
import { h } from './preact.js'

/** Something that leaves ink: no spaces, marks alone or characters that only steer. */
const VISIBLE = /[^\p{C}\p{Z}\p{M}]/u

/**
 * A name in one line, cut with an ellipsis where there is no room; all of it in the tooltip.
 * @param {{ text: string, class?: string }} props
 */
export function Name({ text, class: kind = '' }) {
  return h(
    'bdi',
    { class: `name ${kind}`, title: text },
    VISIBLE.test(text) ? text : '(a name of no visible letters)',
  )
}

/**
 * A shard's file name, cut in the middle: what tells it from its siblings stands at the end.
 * @param {{ text: string }} props
 */
export function FileName({ text }) {
  const [tail = ''] = /-\d{5}-of-\d{5}\.gguf$/.exec(text) ?? []
  if (tail === '') return h(Name, { text })
  const stem = text.slice(0, -tail.length)
  return h(
    'bdi',
    { class: 'file-name', title: text },
    // Two boxes would be read as two words.
    h('span', { class: 'visually-hidden' }, text),
    h('span', { class: 'name', 'aria-hidden': 'true' }, stem),
    h('span', { class: 'tail', 'aria-hidden': 'true' }, tail),
  )
}

/**
 * A hash in groups that an eye can follow; copied without gaps.
 * @param {{ hex: string }} props
 */
export function Hash({ hex }) {
  const groups = hex.match(/.{1,8}/g) ?? []
  return h(
    'code',
    { class: 'hash' },
    groups.map((group, index) => h('span', { key: index }, group)),
  )
}
