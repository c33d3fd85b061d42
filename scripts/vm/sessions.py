"""Opens 1,024 sessions of all kinds, and says `all` once each has had a reply. Usage: sessions.py hold|repeat"""

import socket
import struct
import sys
import time

COUNT = 1024
KINDS = ["/ws", "/echo", "/echo?compression=takeover", "/chat?room=room{room}&name=member{number}"]
REQUEST = """GET {target} HTTP/1.1
Host: 127.0.0.1:8080
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: d3NlY2hvIHdzZWNobyB3cw==
Sec-WebSocket-Extensions: permessage-deflate

"""


def connect(number):
    """Sends a handshake, and returns the stream and the response's first line."""
    target = KINDS[number % len(KINDS)].format(room=number // 64, number=number)
    stream = socket.create_connection(("127.0.0.1", 8080), 60).makefile("rwb", buffering=4096)
    stream.write(REQUEST.format(target=target).replace("\n", "\r\n").encode())
    stream.flush()
    status = stream.readline().decode()
    while stream.readline() not in (b"\r\n", b""):
        pass
    return stream, status


def send(stream, text):
    """Writes a text frame with the masking key 0, which changes nothing."""
    size = struct.pack("!B", 0x80 | len(text)) if len(text) < 126 else struct.pack("!BH", 0xFE, len(text))
    stream.write(b"\x81" + size + bytes(4) + text)
    stream.flush()


def receive(stream):
    """Reads a frame."""
    _, size = stream.read(2)
    if size == 126:
        (size,) = struct.unpack("!H", stream.read(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", stream.read(8))
    stream.read(size)


streams = []
for number in range(COUNT):
    stream, status = connect(number)
    if " 101 " not in status:
        sys.exit(f"session {number}: {status}")
    streams.append(stream)
_, status = connect(1)
print("refused", status.split(" ")[1], flush=True)
while True:
    for number, stream in enumerate(streams):
        send(stream, b"hello" if number % 2 else b"0123456789abcdef" * 2048)
    for stream in streams:
        receive(stream)
    print("all", flush=True)
    if sys.argv[1] == "hold":
        time.sleep(3600)
