"""A libtorrent session for the bench: TCP only, no discovery, everything else as it comes.

One JSON job on the command line:
  {"mode": "get" | "join" | "seed", "listen": "ADDRESS:PORT",
   "torrents": [{"torrentFile", "save", "peers": [[HOST, PORT]]}]}
`join` gets and stays.
Prints one JSON event a line: listening, ready (all are seeded), whole (all have arrived and are written).
"""

import json
import os
import sys

import libtorrent as lt

job = json.loads(sys.argv[1])


def report(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


session = lt.session(
    {
        "listen_interfaces": job["listen"],
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        # Eight downloaders of one seeder are all served. Its default is eight, with those served by chance among them.
        "unchoke_slots_limit": 16,
        "allow_multiple_connections_per_ip": True,
        "alert_mask": lt.alert.category_t.status_notification
        | lt.alert.category_t.storage_notification
        | lt.alert.category_t.error_notification,
    }
)
report("listening", port=session.listen_port())
missing = set()
for torrent in job["torrents"]:
    parameters = lt.load_torrent_file(torrent["torrentFile"])
    parameters.save_path = torrent["save"]
    flags = parameters.flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    if job["mode"] == "seed":
        flags |= lt.torrent_flags.seed_mode
    parameters.flags = flags
    handle = session.add_torrent(parameters)
    missing.add(handle)
    for peer in torrent.get("peers", []):
        handle.connect_peer(tuple(peer))
if job["mode"] == "seed":
    report("ready")
while True:
    session.wait_for_alert(10_000)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.torrent_finished_alert) and job["mode"] != "seed":
            # Its last pieces are checked then, and not yet written.
            alert.handle.flush_cache()
        elif isinstance(alert, lt.cache_flushed_alert) and job["mode"] != "seed":
            # It tells that more than once.
            if alert.handle not in missing or not alert.handle.status().is_finished:
                continue
            missing.discard(alert.handle)
            if not missing:
                report("whole")
                sys.stdout.flush()
                if job["mode"] == "get":
                    os._exit(0)
        elif isinstance(alert, (lt.file_error_alert, lt.torrent_error_alert, lt.listen_failed_alert)):
            print(alert.message(), file=sys.stderr, flush=True)
