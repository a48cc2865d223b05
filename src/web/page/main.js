/** Starts the page: connects the feed to the store, and the store to what is drawn. */
import { App } from './app.js'
import { Feed } from './feed.js'
import { formatCount } from './format.js'
import { h, render } from './preact.js'
import { applyFrame } from './state.js'
import { current, drawWith, update } from './store.js'

/** @import { PageState } from './store.js' */

const page = document.getElementById('page')
if (page === null) throw new Error('index.html has no #page')

drawWith((state) => {
  const startedAt = performance.now()
  render(h(App, state), page)
  measured('gguf-swarm:draw', startedAt)
})

const address = new URL('/ws', location.href)
address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'

const feed = new Feed({
  url: address.href,
  onFrame: (frame) => {
    const startedAt = performance.now()
    const fleet = applyFrame(current().fleet, frame)
    if (fleet === null) return false
    show({ fleet })
    measured(`gguf-swarm:${frame.type}`, startedAt)
    return true
  },
  onConnection: (connection) => show({ connection }),
})
feed.start()
addEventListener('online', () => feed.hurry())
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') feed.hurry()
})

/**
 * The title at once: nothing is drawn in a tab that is hidden, and its title is what is seen of it.
 * @param {Partial<PageState>} change
 */
function show(change) {
  update(change)
  document.title = titleOf(current())
}

/** @param {PageState} state */
function titleOf({ fleet, connection }) {
  if (fleet === null) return 'gguf-swarm'
  const { totals, alarms } = fleet
  const mark =
    connection.state === 'lost' ? 'offline: ' : alarms.length > 0 ? `(${formatCount(alarms.length)}) ` : ''
  return `${mark}${formatCount(totals.copies)} of ${formatCount(totals.shards * totals.hostsOnline)} copies, gguf-swarm`
}

/**
 * For the browser's profiler and the tests. Only observers keep them: a page stays open for weeks.
 * @param {string} name
 * @param {number} start
 */
function measured(name, start) {
  performance.measure(name, { start })
  performance.clearMeasures(name)
}
