"""A `pixmill serve` that is measured."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .services import free_port

START_SECONDS = 20


class Server:
    """`pixmill serve` in a folder of its own, or on the records in `data`, on embedded defaults but for `env`.

    Use as a context manager.
    """

    def __init__(self, binary, *options, env=None, data=None):
        self.folder = tempfile.TemporaryDirectory(prefix="pixmill-bench-serve-")
        self.port = free_port()
        command = [binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", data or Path(self.folder.name) / "data", *options]
        log = (Path(self.folder.name) / "log").open("wb")
        self.process = subprocess.Popen(
            [str(part) for part in command], env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def __enter__(self):
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    sys.exit("bench: the server did not start")
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def upload(self, csv):
        """Hands a catalogue in; gives back the request's id and images once they are durable."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        with csv.open("rb") as body:
            connection.request("POST", "/v1/requests", body, {"Content-Type": "text/csv", "Content-Length": str(csv.stat().st_size)})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status != http.HTTPStatus.ACCEPTED:
            sys.exit(f"bench: the catalogue was refused: {said}")
        return said["requestId"], said["totalImages"]

    def completed(self, request):
        """Images of a request that are completed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/v1/requests/{request}")
        return json.loads(connection.getresponse().read())["completedImages"]
