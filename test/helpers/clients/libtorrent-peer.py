"""A libtorrent session in its default settings, apart from where it listens and those it is given.

Reads one JSON order a line on standard input:
  {"id": 1, "save": FOLDER, "magnet": LINK}   or   {"id": 1, "save": FOLDER, "torrentFile": PATH}
Prints one JSON event a line:
  {"event": "listening", "port"}  {"event": "whole", "id", "path"}  {"event": "failed", "id", "message"}
"""

import json
import os
import queue
import sys
import threading

import libtorrent

address, settings = sys.argv[1:3]
session = libtorrent.session(
    {
        "listen_interfaces": f"{address}:6881",
        **json.loads(settings),
        # What is reported, not what is done.
        "alert_mask": libtorrent.alert.category_t.status_notification
        | libtorrent.alert.category_t.error_notification,
    }
)
orders = queue.SimpleQueue()
torrents = {}


def report(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


def read_orders():
    for line in sys.stdin:
        orders.put(json.loads(line))


def add(order):
    if "magnet" in order:
        parameters = libtorrent.parse_magnet_uri(order["magnet"])
    else:
        parameters = libtorrent.load_torrent_file(order["torrentFile"])
    parameters.save_path = order["save"]
    torrents[order["id"]] = session.add_torrent(parameters)


def report_whole():
    for number, torrent in list(torrents.items()):
        status = torrent.status()
        if status.errc.value() != 0:
            report("failed", id=number, message=status.errc.message())
        elif status.is_seeding:
            report("whole", id=number, path=os.path.join(status.save_path, torrent.name()))
        else:
            continue
        del torrents[number]


report("listening", port=session.listen_port())
threading.Thread(target=read_orders, daemon=True).start()
while True:
    session.wait_for_alert(100)
    for alert in session.pop_alerts():
        print(type(alert).__name__, alert.message(), file=sys.stderr, flush=True)
    while not orders.empty():
        add(orders.get())
    report_whole()
