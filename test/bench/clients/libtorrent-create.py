"""Makes a v1 torrent with libtorrent: libtorrent-create.py PATH PIECE_LENGTH TO. Prints how long that took."""

import json
import os
import sys
import time

import libtorrent as lt

path, piece_length, to = sys.argv[1:4]
started = time.monotonic()
storage = lt.file_storage()
lt.add_files(storage, path)
torrent = lt.create_torrent(storage, int(piece_length), lt.create_torrent.v1_only)
lt.set_piece_hashes(torrent, os.path.dirname(path))
with open(to, "wb") as file:
    file.write(lt.bencode(torrent.generate()))
print(json.dumps({"event": "made", "tookMs": (time.monotonic() - started) * 1000}), flush=True)
