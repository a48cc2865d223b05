// Run in a network namespace, is a crowd of DHT nodes, one on each address: `node crowd-nodes.js BOOTSTRAP
// ADDRESS…`. Without it the network would be smaller than some clients believe a DHT can be. Plain JavaScript:
// bittorrent-dht has no types of its own.
import DHT from 'bittorrent-dht'

const PORT = 6881
const MAX_NODES_IN_REPLY = 8 // BEP 5; without it a reply carries the whole table and is too long for libtorrent
const REFRESH_EVERY_MS = 15_000

const [bootstrap, ...addresses] = process.argv.slice(2)

const crowd = addresses.map((address) => {
  const dht = new DHT({ bootstrap: bootstrap === '' ? false : [bootstrap] })
  const closest = dht.nodes.closest.bind(dht.nodes)
  dht.nodes.closest = (id, n = MAX_NODES_IN_REPLY) => closest(id, n)
  dht.on('error', (error) => console.error(address, error.message))
  dht.on('warning', (error) => console.error(address, error.message))
  dht.listen(PORT, address)
  return dht
})

// Looking for itself is how a node makes itself known; again, as nodes that came first knew few others.
const refresh = () => {
  for (const dht of crowd) dht.lookup(dht.nodeId)
}
setInterval(refresh, REFRESH_EVERY_MS)

await Promise.all(crowd.map((dht) => new Promise((resolve) => dht.once('ready', resolve))))
refresh()
console.log(JSON.stringify({ event: 'listening', port: PORT }))
