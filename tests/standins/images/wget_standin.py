"""A stand-in for the wget of PD's and TiKV's images: `wget -q -T SECONDS -O FILE http://HOST:PORT/PATH`."""

import socket
import sys


def main(arguments: list[str]) -> int:
    """Ask once; 0 for a 200, as wget's exit status, else 8."""
    timeout_s = float(arguments[arguments.index("-T") + 1])
    address, _, path = arguments[-1].removeprefix("http://").partition("/")
    host, _, port = address.partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout_s) as connection:
            connection.sendall(
                f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
            )
            status = connection.recv(64).split(b" ", 2)[1]
    except (OSError, IndexError):
        return 4
    return 0 if status == b"200" else 8


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
