/**
 * What all hosts send and receive, the last ten minutes: sent above the line, received below it. The same is said in
 * words beside it.
 */
import { formatRate } from './format.js'
import { createRef, h, Memo } from './preact.js'
import { RATE_SECONDS } from './state.js'
import UPlot from './uplot.js'

/** @import { RatePoint } from './state.js' */

const HEIGHT = 168
/** Less than that is no traffic worth a tall peak. */
const MIN_SCALE = 10_000

/** @extends {Memo<{ rates: readonly RatePoint[] }>} */
export class Chart extends Memo {
  /** @type {{ current: HTMLDivElement | null }} */
  #box = createRef()
  /** @type {InstanceType<typeof UPlot> | null} */
  #plot = null
  #observer = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry?.contentRect.width ?? 0)
    if (width > 0 && width !== this.#plot?.width) this.#plot?.setSize({ width, height: HEIGHT })
  })
  #scheme = matchMedia('(prefers-color-scheme: dark)')

  /** @override */
  componentDidMount() {
    this.#make()
    if (this.#box.current) this.#observer.observe(this.#box.current)
    this.#scheme.addEventListener('change', this.#make)
    document.addEventListener('themechange', this.#make)
  }

  /** @override */
  componentWillUnmount() {
    this.#observer.disconnect()
    this.#scheme.removeEventListener('change', this.#make)
    document.removeEventListener('themechange', this.#make)
    this.#plot?.destroy()
  }

  /** @override */
  componentDidUpdate() {
    this.#plot?.setData(dataOf(this.props.rates))
  }

  /** Anew for each theme: a canvas knows no style sheet. */
  #make = () => {
    const box = this.#box.current
    if (box === null) return
    this.#plot?.destroy()
    this.#plot = new UPlot(optionsFor(box), dataOf(this.props.rates), box)
  }

  /** @override */
  render() {
    const { rates } = this.props
    return h(
      'section',
      { class: 'card chart', 'aria-labelledby': 'chart-heading' },
      h(
        'div',
        { class: 'card-head' },
        h('h2', { id: 'chart-heading' }, 'Transfer'),
        h('p', { class: 'card-note' }, 'last 10 minutes'),
      ),
      h('p', { class: 'visually-hidden' }, inWords(rates)),
      h('div', { ref: this.#box, class: 'plot', 'aria-hidden': 'true' }),
      h(
        'p',
        { class: 'chart-key', 'aria-hidden': 'true' },
        h('span', { class: 'arrow is-up' }),
        `up, peak ${formatRate(peak(rates, 'up'))}`,
        h('span', { class: 'arrow is-down' }),
        `down, peak ${formatRate(peak(rates, 'down'))}`,
      ),
    )
  }
}

/**
 * @param {readonly RatePoint[]} rates
 * @param {'up' | 'down'} which
 */
const peak = (rates, which) => rates.reduce((most, point) => Math.max(most, point[which]), 0)

/** @param {readonly RatePoint[]} rates */
function inWords(rates) {
  const last = rates.at(-1)
  if (last === undefined) return 'No transfer rates yet.'
  return (
    `Now ${formatRate(last.up)} up and ${formatRate(last.down)} down. In the last ten minutes at most ` +
    `${formatRate(peak(rates, 'up'))} up and ${formatRate(peak(rates, 'down'))} down.`
  )
}

/**
 * @param {readonly RatePoint[]} rates
 * @returns {import('uplot').AlignedData}
 */
const dataOf = (rates) => [
  rates.map(({ at }) => at),
  rates.map(({ up }) => up),
  rates.map(({ down }) => -down),
]

/**
 * @param {HTMLElement} box
 * @returns {import('uplot').Options}
 */
function optionsFor(box) {
  const colour = coloursOf(box)
  const font = `11px ${getComputedStyle(box).fontFamily}`
  const axis = { stroke: colour('--muted'), font, ticks: { show: false } }
  return {
    width: Math.max(80, Math.floor(box.getBoundingClientRect().width)),
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: {
      x: { range: (_, __, max) => [(max ?? 0) - RATE_SECONDS, max ?? 0] },
      y: { range: (_, min, max) => symmetric(min, max) },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 22,
        space: 60,
        values: (plot, splits) => splits.map((at) => minutesAgo((plot.scales['x']?.max ?? at) - at)),
        splits: (plot) => {
          const max = plot.scales['x']?.max ?? 0
          return [max - 480, max - 360, max - 240, max - 120]
        },
      },
      {
        ...axis,
        grid: { stroke: colour('--line'), width: 1 },
        size: 66,
        splits: (plot) => {
          const max = plot.scales['y']?.max ?? 0
          return [-max * 0.8, 0, max * 0.8]
        },
        values: (_, splits) => splits.map((rate) => (rate === 0 ? '0' : formatRate(Math.abs(rate)))),
      },
    ],
    series: [
      {},
      { stroke: colour('--up'), fill: colour('--up-fill'), width: 1.5, points: { show: false } },
      { stroke: colour('--down'), fill: colour('--down-fill'), width: 1.5, points: { show: false } },
    ],
  }
}

/**
 * As much above the line as below it, so that the two can be compared.
 * @param {number | null} min
 * @param {number | null} max
 * @returns {[number, number]}
 */
function symmetric(min, max) {
  const most = Math.max(MIN_SCALE, -(min ?? 0), max ?? 0) * 1.25
  return [-most, most]
}

/** @param {number} seconds */
const minutesAgo = (seconds) => `−${Math.round(seconds / 60)} min`

/**
 * What a custom property comes to: light-dark() is worked out only where it is used.
 * @param {HTMLElement} box
 */
function coloursOf(box) {
  const probe = document.createElement('span')
  return (/** @type {string} */ name) => {
    box.append(probe)
    probe.style.color = `var(${name})`
    const { color } = getComputedStyle(probe)
    probe.remove()
    return color
  }
}
