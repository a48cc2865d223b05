/** Starts the lane of a download as soon as its metadata is there, with the web seeds it was given. */
import type Wire from 'bittorrent-protocol'
import type { Torrent } from 'webtorrent'
import { joinWebSeeds, leaveWebSeed, type WebSeedRequest } from '../web-seed/web-seeds.ts'
import { Lane } from './lane.ts'
import type { PieceBuffers } from './piece-buffers.ts'

export interface StartLaneOptions {
  readonly buffers: PieceBuffers
  readonly webSeeds: WebSeedRequest | undefined
  /** Leaves a peer that sent wrong data. */
  readonly ban: (wire: Wire) => void
  /** Counts what web seeds give; connections count themselves. */
  readonly onBytes: (bytes: number) => void
}

export function startLaneWhenReady(
  torrent: Torrent,
  { buffers, webSeeds, ban, onBytes }: StartLaneOptions,
): void {
  torrent.once('ready', () => {
    if (torrent.done || torrent.bitfield === undefined) return
    const lane = new Lane(torrent, { buffers, onGuilty: (wire) => void (leaveWebSeed(wire) || ban(wire)) })
    if (webSeeds !== undefined) joinWebSeeds(lane, torrent, webSeeds, onBytes)
  })
}
