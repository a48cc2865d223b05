"""A switch with bad weather: Ethernet between network namespaces, with packets lost, late, out of order and doubled.

For kernels without tc's netem. `weather.py NETNS...` gives each namespace an interface eth0 (a tap device) and
forwards between them as the last line of JSON on standard input says: {"seed", "loss", "delayMs", "jitterMs",
"duplicate", "groups"}. `groups` has a number for each namespace; frames pass within a group only. Ends with its input.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME_BYTES = 2048
# Packets on their way at once; a real link drops what its queue cannot hold, too.
MOST_UNDER_WAY = 20_000


def tap(name, netns):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", netns, "name", "eth0"], check=True)
    return fd


def main(namespaces):
    fds = [tap(f"wx{os.getpid() % 100000}-{index}", netns) for index, netns in enumerate(namespaces)]
    port_of = {}  # by MAC address
    weather = {"loss": 0, "delayMs": 0, "jitterMs": 0, "duplicate": 0, "groups": [0] * len(fds)}
    chance = random.Random(0)
    under_way = []  # (due, number, port, frame)
    counts = {"changes": 0, "frames": 0, "lost": 0, "doubled": 0, "cut": 0}
    poller = select.poll()
    for fd in [0, *fds]:
        poller.register(fd, select.POLLIN)
    print(json.dumps({"event": "ready"}), flush=True)

    def send(frame, port):
        counts["frames"] += 1
        if chance.random() < weather["loss"] or len(under_way) >= MOST_UNDER_WAY:
            counts["lost"] += 1
            return
        copies = 1 + (chance.random() < weather["duplicate"])
        counts["doubled"] += copies - 1
        for _ in range(copies):
            late = weather["delayMs"] + weather["jitterMs"] * (2 * chance.random() - 1)
            due = time.monotonic() + max(0, late) / 1000
            heapq.heappush(under_way, (due, counts["frames"], port, frame))

    while True:
        wait = None if not under_way else max(0, (under_way[0][0] - time.monotonic()) * 1000)
        for fd, _ in poller.poll(wait):
            if fd == 0:
                lines = os.read(0, 65536).decode().split("\n")
                if lines == [""]:
                    return
                for line in filter(None, lines):
                    news = json.loads(line)
                    if "seed" in news:
                        chance.seed(news["seed"])
                    weather.update(news)
                    counts["changes"] += 1
                    print(json.dumps({"event": "changed", **counts}), flush=True)
                continue
            source = fds.index(fd)
            try:
                frame = os.read(fd, FRAME_BYTES)
            except BlockingIOError:
                continue
            port_of[frame[6:12]] = source
            known = port_of.get(frame[0:6])
            for port in range(len(fds)) if known is None else [known]:
                if port == source:
                    continue
                if weather["groups"][port] != weather["groups"][source]:
                    counts["cut"] += 1
                    continue
                send(frame, port)
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, port, frame = heapq.heappop(under_way)
            try:
                os.write(fds[port], frame)
            except OSError:
                counts["lost"] += 1  # the interface is down, or its queue is full


main(sys.argv[1:])
