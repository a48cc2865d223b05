#!/usr/bin/env node
// Written so that every Node since 10 can read it, as a module and as a script: an old one is told what to do, not
// where its parser stopped. Nothing newer may stand here, not even a static import.
/* biome-ignore-all lint: words of the oldest Node */

var major = Number(process.versions.node.split('.')[0])
if (major < 16) {
  process.stderr.write(
    'gguf-swarm needs Node 20.19 or newer; this is ' +
      process.version +
      '.\nInstall a newer one from https://nodejs.org (or: nvm install 24, brew install node, winget install ' +
      'OpenJS.NodeJS.LTS)\nand run this again.\n',
  )
  process.exitCode = 1
} else import('./launch.js')
