"""Ends while a stream of every door is open, read in part: sync ones, then async ones, whose event loop ends before."""

import asyncio
import sys

from doors import DOORS, Use, client, lacking
from scene import drive

kept = []


class Server:
    """Where the fake provider listens."""

    openai_url, anthropic_url = sys.argv[1:3]


async def begin(door, asynchronous):
    use = Use(door, client(door.sdk, Server, asynchronous=asynchronous, max_retries=0))
    await use.enter()
    await anext(aiter(use))
    kept.append(use)


doors = [door for door in DOORS if door.streams and not lacking(door)]


async def main():
    for door in doors:
        await begin(door, asynchronous=True)


if sys.argv[3] == "async":
    asyncio.run(main())
else:
    for door in doors:
        drive(begin(door, asynchronous=False))
print(len(kept))
