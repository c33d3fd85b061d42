# Usage: server.py. An echo server with Python's websockets. Prints its port.
from websockets.sync.server import serve


def echo(client):
    for message in client:
        client.send(message)


with serve(echo, "127.0.0.1", 0) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
