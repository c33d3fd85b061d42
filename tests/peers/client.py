# Usage: client.py URL. Echoes over permessage-deflate with Python's websockets, and prints the
# negotiated extensions.
import os
import sys

from websockets.sync.client import connect

with connect(sys.argv[1], max_size=None) as client:
    agreed = client.response.headers.get("Sec-WebSocket-Extensions")
    assert client.protocol.extensions, "no compression"
    for message in ["", "hello", "h\u00e9llo " * 20_000, b"", b"\0" * 300_000, os.urandom(70_000)]:
        client.send(message)
        assert client.recv(timeout=20) == message
    # One message in fragments.
    client.send(["many ", "small ", "pieces " * 1000])
    assert client.recv(timeout=20) == "many small " + "pieces " * 1000
assert client.protocol.close_code == 1000
print(agreed)
