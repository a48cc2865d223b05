/**
 * How each standard client is told of a private bootstrap node, filled in with its address. docs/clients.md shows
 * these texts, and the interop tests set the clients up with these values: what is printed is what was tried.
 */
import type { PeerAddress } from '../metainfo/peer-address.ts'

export const CLIENTS = ['aria2', 'qbittorrent', 'transmission', 'rtorrent', 'deluge', 'libtorrent'] as const
export type ClientName = (typeof CLIENTS)[number]

/** What makes the client a part of the DHT, for programs. */
export interface SetUp {
  /** Given to it when it is started. */
  readonly args: readonly string[]
  /** Lines of a file of its configuration. */
  readonly file: { readonly name: string; readonly text: string } | null
  readonly settings: Readonly<Record<string, string>>
  /** It learns of the DHT from the `nodes` of the first .torrent file that it opens (BEP 5). */
  readonly opensTorrentFirst: boolean
}

/** One client's recipe. */
export interface Recipe {
  readonly client: ClientName
  readonly title: string
  readonly setUp: SetUp
  /** What to do, each with the lines to type or to write. */
  readonly steps: readonly { readonly say: string; readonly lines: readonly string[] }[]
  /** How long it takes, and what it does on the way. */
  readonly expect: string
  /** All of it in one line, for those who know the client. */
  readonly short: string
}

/** What a recipe is filled in with. */
export interface RecipeValues {
  readonly bootstrap: PeerAddress
  /** What to fetch with it. */
  readonly magnet: string
}

const AFTER_TORRENT =
  'It begins within 15 s, and seeds what it has. Only the very first one may wait for some minutes: its search ' +
  'goes out before a node is known.'

const NOTHING: SetUp = { args: [], file: null, settings: {}, opensTorrentFirst: false }

const RECIPES: Readonly<Record<ClientName, (values: RecipeValues) => Omit<Recipe, 'client'>>> = {
  aria2: ({ bootstrap, magnet }) => {
    const args = ['--enable-dht=true', `--dht-entry-point=${address(bootstrap)}`]
    const line = ['aria2c', ...args].join(' ')
    return {
      title: 'aria2',
      setUp: { ...NOTHING, args },
      steps: [
        {
          say: 'Run it with the bootstrap node as the entry point of its DHT:',
          lines: [`${line} '${magnet}'`],
        },
      ],
      expect:
        'It begins after 8 to 20 s, most of them the start of its own DHT. It seeds until as much went out as came in.',
      short: `${line} MAGNET`,
    }
  },
  qbittorrent: ({ bootstrap, magnet }) => ({
    title: 'qBittorrent',
    setUp: { ...NOTHING, opensTorrentFirst: true },
    steps: [
      {
        say: 'qBittorrent 5: Options > Advanced > libtorrent, "DHT bootstrap nodes":',
        lines: [address(bootstrap)],
      },
      openTorrent('qBittorrent 4 has no such setting.'),
      { say: 'From then on it finds magnets there, too:', lines: [magnet] },
    ],
    expect: AFTER_TORRENT,
    short: `5: Options > Advanced > libtorrent, "DHT bootstrap nodes" = ${address(bootstrap)}; 4: open one .torrent of the fleet`,
  }),
  transmission: ({ bootstrap, magnet }) => {
    const text = `${bootstrap.host} ${bootstrap.port}\n`
    return {
      title: 'Transmission',
      setUp: { ...NOTHING, file: { name: 'dht.bootstrap', text } },
      steps: [
        {
          say:
            'Put this line into the file dht.bootstrap in its configuration folder (~/.config/transmission or ' +
            '~/.config/transmission-daemon), and start it again:',
          lines: [text.trim()],
        },
        { say: 'Then add magnets as usual:', lines: [magnet] },
      ],
      expect: 'Its DHT takes one to two minutes from its start; then it is as fast as any.',
      short: `the line "${text.trim()}" in the file dht.bootstrap in its configuration folder; start it again`,
    }
  },
  rtorrent: ({ bootstrap, magnet }) => {
    const dht = ['dht.mode.set = on', `schedule2 = fleet_dht, 1, 60, "dht.add_node=${address(bootstrap)}"`]
    const lines = [
      'execute.nothrow = sh, -c, "mkdir -p ~/.rtorrent-session"',
      'session.path.set = ~/.rtorrent-session',
      ...dht,
    ]
    return {
      title: 'rTorrent',
      setUp: { ...NOTHING, file: { name: '.rtorrent.rc', text: `${lines.join('\n')}\n` } },
      steps: [
        {
          say:
            'Its DHT is off as it comes, and does nothing without a session folder. Put these lines into ~/.rtorrent.rc ' +
            '(leave out the first two if you have such a folder), and start it again:',
          lines,
        },
        { say: 'Then add a magnet: press backspace, paste it, press enter.', lines: [magnet] },
      ],
      expect: 'It begins within 20 s, a .torrent sooner than a magnet.',
      short: `"${dht.join('" and "')}" in ~/.rtorrent.rc, and a session folder`,
    }
  },
  deluge: ({ magnet }) => ({
    title: 'Deluge',
    setUp: { ...NOTHING, opensTorrentFirst: true },
    steps: [
      openTorrent('No setting of it names a bootstrap node.'),
      { say: 'From then on it finds magnets there, too:', lines: [magnet] },
    ],
    expect: AFTER_TORRENT,
    short: 'open one .torrent of the fleet',
  }),
  libtorrent: ({ bootstrap, magnet }) => {
    const settings = { dht_bootstrap_nodes: address(bootstrap) }
    return {
      title: 'libtorrent',
      setUp: { ...NOTHING, settings },
      steps: [
        {
          say: 'Set the bootstrap nodes of the session; in Python:',
          lines: [
            `session = libtorrent.session({"dht_bootstrap_nodes": "${settings.dht_bootstrap_nodes}"})`,
            'parameters = libtorrent.parse_magnet_uri(MAGNET)',
            'parameters.save_path = "."',
            'torrent = session.add_torrent(parameters)',
          ],
        },
        { say: 'with this for MAGNET:', lines: [magnet] },
      ],
      expect: 'It begins within 10 s. It hears of nobody on 127.0.0.1: use an address of your network.',
      short: `dht_bootstrap_nodes = "${settings.dht_bootstrap_nodes}"`,
    }
  },
}

/** The recipe of a client. */
export function recipeOf(client: ClientName, values: RecipeValues): Recipe {
  return { client, ...RECIPES[client](values) }
}

/** A recipe as it is read: steps, and what to expect. */
export function recipeText({ title, steps, expect }: Recipe): string {
  const parts = steps.map(({ say, lines }) => [say, ...lines.map((line) => `  ${line}`)].join('\n'))
  return [title, ...parts, expect].join('\n\n')
}

/** One line a client, aligned. */
export function recipes(bootstrap: PeerAddress): readonly string[] {
  const lines: readonly (readonly [string, string])[] = [
    [
      'gguf-swarm',
      `gguf-swarm seed DIR --bootstrap ${address(bootstrap)}    gguf-swarm get ID --bootstrap ${address(bootstrap)}`,
    ],
    ...CLIENTS.map((client) => recipeOf(client, { bootstrap, magnet: '' })).map(
      ({ title, short }): [string, string] => [title, short],
    ),
  ]
  const width = Math.max(...lines.map(([client]) => client.length))
  return lines.map(([client, how]) => `${client.padEnd(width)}  ${how}`)
}

const address = ({ host, port }: PeerAddress): string => `${host}:${port}`

function openTorrent(why: string): Recipe['steps'][number] {
  return {
    say: `${why} Open one .torrent file of the fleet: it names the bootstrap node. Every host keeps them, in the folder`,
    lines: ['models_cache/torrents'],
  }
}
