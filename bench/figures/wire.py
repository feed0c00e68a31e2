"""Stands between a client and MongoDB and counts the commands that pass: each is a round trip.

MongoDB's own counters tell of statements and documents, of which one command may hold a thousand.
"""

import asyncio
import struct
import threading
from collections import Counter
from urllib.parse import urlsplit

OP_MSG = 2013
HEADER_BYTES = 16
FLAGS_BYTES = 4
# What drivers send by themselves, by the clock.
OF_THE_DRIVER = {"hello", "ismaster", "isMaster", "ping", "endSessions"}


def command_name(message):
    """What an OP_MSG asks for: the first key of its body; nothing for other messages."""
    (opcode,) = struct.unpack_from("<i", message, 12)
    at = HEADER_BYTES + FLAGS_BYTES
    while opcode == OP_MSG and at < len(message):
        kind, (length,) = message[at], struct.unpack_from("<i", message, at + 1)
        if kind == 0:
            name = at + 1 + 4 + 1
            return message[name : message.index(b"\0", name)].decode()
        at += 1 + length
    return None


class Counted:
    """A loopback address behind which `url`'s server is. Use as a context manager."""

    def __init__(self, url):
        self.server = urlsplit(url)
        self.counts, self.bytes, self.loop = Counter(), 0, asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self.join, "127.0.0.1", 0), self.loop).result()
        port = listening.sockets[0].getsockname()[1]
        user, at, _ = self.server.netloc.rpartition("@")
        self.url = self.server._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def count(self):
        """Commands so far, without the driver's own."""
        return sum(count for name, count in self.counts.items() if name not in OF_THE_DRIVER)

    async def end(self):
        """Drop what is still connected."""
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def join(self, reader, writer):
        """Pass a connection on, both ways."""
        there = await asyncio.open_connection(self.server.hostname, self.server.port or 27017)
        await asyncio.gather(self.ask(reader, there[1]), self.answer(there[0], writer))

    async def ask(self, reader, writer):
        """Pass messages on, each counted."""
        try:
            while True:
                head = await reader.readexactly(HEADER_BYTES)
                (length,) = struct.unpack_from("<i", head)
                message = head + await reader.readexactly(length - HEADER_BYTES)
                if name := command_name(message):
                    self.counts[name] += 1
                self.bytes += length
                writer.write(message)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, reader, writer):
        """Pass bytes on."""
        try:
            while data := await reader.read(1 << 16):
                self.bytes += len(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()
