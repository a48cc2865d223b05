/**
 * The theme that was chosen before, set before anything is drawn: a plain script in the head, so that the page does
 * not flash. `system` is the absence of a choice.
 */
try {
  const theme = localStorage.getItem('theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset['theme'] = theme
} catch {
  // Storage is switched off: the system's theme it is.
}
