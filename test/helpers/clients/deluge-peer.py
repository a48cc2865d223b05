"""Drives a Deluge daemon of this machine by its RPC, as its own user interfaces do.

Reads one JSON order a line on standard input:
  {"id": 1, "save": FOLDER, "magnet": LINK}   or   {"id": 1, "save": FOLDER, "torrentFile": PATH}
Prints one JSON event a line:
  {"event": "connected"}  {"event": "whole", "id", "path"}  {"event": "failed", "id", "message"}
"""

import base64
import json
import os
import sys

from twisted.internet import defer, reactor, stdio, task
from twisted.protocols.basic import LineReceiver

from deluge import configmanager
from deluge.ui.client import client

POLL_S = 0.25
CONNECT_TRIES = 80
# The order whose .torrent brings the nodes of the DHT.
FIRST = 0

configmanager.set_config_dir(sys.argv[1])


def tell(**event):
    print(json.dumps(event), flush=True)


@defer.inlineCallbacks
def connect():
    """The daemon writes its password file and opens its port some time after its start."""
    for attempt in range(CONNECT_TRIES):
        try:
            with open(os.path.join(sys.argv[1], "auth")) as auth:
                name, password = next(line for line in auth if line.startswith("localclient")).split(":")[:2]
            yield client.connect("127.0.0.1", 58846, name, password)
            return
        except Exception as error:
            if attempt == CONNECT_TRIES - 1:
                raise error
        yield task.deferLater(reactor, POLL_S, lambda: None)


@defer.inlineCallbacks
def joined():
    """Once its DHT knows a node: what is added earlier searches nowhere, and not again for minutes."""
    while True:
        status = yield client.core.get_session_status(["dht.dht_nodes"])
        if status["dht.dht_nodes"] > 0:
            return
        yield task.deferLater(reactor, POLL_S, lambda: None)


@defer.inlineCallbacks
def obey(order):
    options = {"download_location": order["save"]}
    try:
        if order["id"] != FIRST:
            yield joined()
        if "magnet" in order:
            torrent = yield client.core.add_torrent_magnet(order["magnet"], options)
        else:
            with open(order["torrentFile"], "rb") as file:
                content = base64.b64encode(file.read())
            name = os.path.basename(order["torrentFile"])
            torrent = yield client.core.add_torrent_file(name, content, options)
        while True:
            status = yield client.core.get_torrent_status(torrent, ["name", "state", "message"])
            if status["state"] == "Error":
                raise RuntimeError(status["message"])
            if status["state"] == "Seeding":
                tell(event="whole", id=order["id"], path=os.path.join(order["save"], status["name"]))
                return
            yield task.deferLater(reactor, POLL_S, lambda: None)
    except Exception as error:
        tell(event="failed", id=order["id"], message=repr(error))


class Orders(LineReceiver):
    delimiter = b"\n"

    def lineReceived(self, line):
        obey(json.loads(line))

    def connectionLost(self, reason):
        if reactor.running:
            reactor.stop()


@defer.inlineCallbacks
def main():
    try:
        yield connect()
    except Exception as error:
        print(f"cannot connect: {error!r}", file=sys.stderr)
        reactor.stop()
        return
    tell(event="connected")
    stdio.StandardIO(Orders())


reactor.callWhenRunning(main)
reactor.run()
