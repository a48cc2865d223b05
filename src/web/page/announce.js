/** Tells screen readers what changed, in one polite live region that is there from the start. */

/** Repeating a text is silent unless the region was empty in between. */
const AGAIN_MS = 100

/** @param {string} text */
export function announce(text) {
  const region = document.getElementById('announcer')
  if (region === null) return
  region.textContent = ''
  setTimeout(() => {
    region.textContent = text
  }, AGAIN_MS)
}
