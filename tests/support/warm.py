"""What runs in place of `weir`, without the start of a Python for each command: it hands its words, its folder, its
environment and its streams over to `warm_home.py`, and ends as the fork there does.

Whoever kills it kills the fork; of other signals the fork hears nothing.
"""

import json
import os
import socket
import sys

_NO_WORD = 70


def hand_over(place: str, words: list[str]) -> int:
    """The exit code of a command that has run over there, on our streams."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(place)
        told = json.dumps([words, os.getcwd(), dict(os.environ)]).encode() + b"\n"
        line.sendall(told[socket.send_fds(line, [told], [0, 1, 2]):])
        return (line.recv(1) or bytes([_NO_WORD]))[0]


if __name__ == "__main__":
    raise SystemExit(hand_over(sys.argv[1], sys.argv[2:]))
