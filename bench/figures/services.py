"""Starts what both sides stand on, on free loopback ports, and ends only that."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import setup

START_SECONDS = 20
STOP_SECONDS = 10

NGINX = """
{user}
daemon off;
worker_processes 1;
pid {state}/nginx.pid;
error_log {state}/nginx-error.log;
events {{ worker_connections 2048; }}
http {{
  types {{ image/jpeg jpg jpeg; image/png png; image/webp webp; }}
  default_type application/octet-stream;
  access_log off;
  sendfile on; tcp_nopush on;
  keepalive_timeout 75s; keepalive_requests 1000000;
  client_body_temp_path {state}/body; proxy_temp_path {state}/proxy;
  fastcgi_temp_path {state}/fastcgi; uwsgi_temp_path {state}/uwsgi; scgi_temp_path {state}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=1024; root "{root}"; }}
}}
"""


def free_port():
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Services:
    """The processes of one bench run. Use as a context manager."""

    def __init__(self):
        self.state = Path(tempfile.mkdtemp(prefix="pixmill-bench-"))
        self.processes = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(list(self.processes.values())):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.state, ignore_errors=True)

    def start(self, name, port, command):
        """Start a server and wait until it listens."""
        log = self.state / f"{name}.log"
        with log.open("wb") as output:
            self.processes[name] = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.processes[name].poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        sys.exit(f"bench: {name} did not start:\n{log.read_text(errors='replace')[-2000:]}")

    def origin(self, folder):
        """nginx over `folder`; gives back its URL."""
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        config = self.state / "nginx.conf"
        config.write_text(NGINX.format(user=user, state=self.state, port=port, root=folder))
        self.start("origin", port, [setup.find("nginx"), "-e", self.state / "nginx-error.log", "-c", config])
        return f"http://127.0.0.1:{port}"

    def redis(self):
        """Redis with an append-only file; gives back its URL. REDIS_URL overrides."""
        if url := os.environ.get("REDIS_URL"):
            return url
        port = free_port()
        folder = self.state / "redis"
        folder.mkdir()
        self.start("redis", port, [
            setup.find("redis-server"), "--port", port, "--bind", "127.0.0.1", "--dir", folder,
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
        ])  # fmt: skip
        return f"redis://127.0.0.1:{port}"

    def cloudinary(self):
        """A stand-in for Cloudinary; gives back what CLOUDINARY_URL says."""
        program = setup.cloudinary()
        self.processes["cloudinary"] = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self.processes["cloudinary"].stdout.readline().strip()

    def mongo(self):
        """A MongoDB-compatible server; gives back its URL. MONGO_URL overrides."""
        if url := os.environ.get("MONGO_URL"):
            return url
        port = free_port()
        folder = self.state / "mongo"
        folder.mkdir()
        command = [setup.mongo_server(), "--host", "127.0.0.1", "--port", port, "--storage-path", folder, "--log-level", "WARNING"]
        self.start("mongo", port, command)
        # Its Python edition grows slower with each retryable write.
        return f"mongodb://127.0.0.1:{port}/bench?directConnection=true&retryWrites=false"
