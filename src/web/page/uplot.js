/** The one place where the page meets uPlot. */
export { default } from '/vendor/uplot.js'
