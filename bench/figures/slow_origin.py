"""Web servers on many loopback addresses that answer each request after a while.

    python3 slow_origin.py PICTURE PORT SECONDS ADDRESS...

Prints `ready`, then, when standard input closes, one JSON line: requests answered, the
most under way at once, and seconds from the first request's arrival to the last answer.
"""

import asyncio
import json
import sys
import time
from pathlib import Path


class Origin:
    """Answers any GET with the same picture, late."""

    def __init__(self, picture, seconds):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
        self.answer, self.seconds = head.encode() + picture, seconds
        self.answered = self.under_way = self.most_under_way = 0
        self.first = self.last = 0.0

    async def serve(self, reader, writer):
        """One connection, kept open until its client leaves."""
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await self.answer_one(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer_one(self, writer):
        """Wait, answer, and note both."""
        self.first = self.first or time.monotonic()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
            writer.write(self.answer)
            await writer.drain()
        finally:
            self.under_way -= 1
        self.answered += 1
        self.last = time.monotonic()


async def main(picture, port, seconds, *addresses):
    """Serve until standard input closes."""
    origin = Origin(Path(picture).read_bytes(), float(seconds))
    servers = [await asyncio.start_server(origin.serve, address, int(port), backlog=1024) for address in addresses]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        server.close()
    print(json.dumps({"answered": origin.answered, "most_under_way": origin.most_under_way, "seconds": origin.last - origin.first}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
