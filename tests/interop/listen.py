"""Listens to a terminal with pyzk2 and prints each event as a line of JSON: python listen.py HOST PORT.

Runs in the environment that `make interop` builds, which has pyzk2 and nothing of ours.
"""

import json
import sys

from pyzk2 import ZK


def main(host: str, port: str) -> None:
    connection = ZK(host, port=int(port), timeout=20, ommit_ping=True).connect()
    ready = False
    for event in connection.live_capture(new_timeout=0.2):
        if event is None and not ready:
            # It has registered: it waits, and nothing came.
            ready = True
            print(json.dumps("ready"), flush=True)
        elif event is not None:
            fields = (event.user_id, event.timestamp.isoformat(), event.status, event.punch)
            print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
