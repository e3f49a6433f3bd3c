"""`vaguemestre serve`: opens a node's doors, keeps them open, closes them in good order.

Invariants: nothing of a letter can reach a core dump (limits set before anything is opened); a start that fails
says why in one sentence and leaves nothing behind; SIGTERM finishes what is open within 30 s; SIGHUP reloads
certificates, rules and the trust list, and what is bad keeps the old.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import grp
import logging
import os
import re
import resource
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from deploy.node import config as configuration
from deploy.node import logs, rules
from deploy.node.administrators import user_of
from deploy.node.composition import Node, now, opened
from deploy.node.config import Config
from deploy.node.console import Console
from deploy.node.console_audit import purge_by_the_day
from deploy.node.control import ControlServer, Handler
from deploy.node.doors import Doors
from deploy.node.failures import KNOWN, StartError, sentence
from deploy.node.home import Home

_log = logging.getLogger("vaguemestre.node")
_PR_SET_DUMPABLE = 4
_COLLECTOR = (2_000, 10, 500)  # 0.1 ms, 1 ms and, seldom, as long as it takes
_SWITCH_INTERVAL = 0.0005  # s; the loop gets its turn soon after each system call of a store's thread


def run_node(home: Path, config: Path | None) -> str:
    """Serve until told to stop. Returns the sentence of a failed start, "" after a clean end."""
    protect_process()
    place = Home(home, config and config.absolute())
    try:
        settings = configuration.load(place.config)
        logs.log_to(settings.node.log_file, settings.node.log_level)
        logs.watch_faults()
        sys.setswitchinterval(_SWITCH_INTERVAL)
        uvloop.run(_serve(place, settings))
    except KNOWN as failure:
        return sentence(failure)
    except OSError as failure:
        return network_words(failure)
    return ""


def calm_collector() -> None:
    """What is there now stays: Python's collector need not walk it at each of its rounds, which held the loop 120 ms.

    A full round comes after millions of new objects instead of tens of thousands: when 2,000 programs come back at
    once, each of their sessions is new and none is garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR)


def protect_process() -> None:
    """No core dump, no debugger of another user: memory holds letters (DESIGN §3, sealing workers)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Each open page and mail program holds a descriptor; the usual soft limit is 1024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


async def _serve(home: Home, settings: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    logs.watch_loop(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(opened(home, settings))
        doors = Doors(node)
        await doors.start()
        node.trace.note([rules.in_force(node.decisions, now())])
        stack.push_async_callback(doors.stop)
        for control in control_servers(node):
            await control.start()
            stack.push_async_callback(control.stop)
        reloads: set[asyncio.Task[None]] = set()
        loop.add_signal_handler(signal.SIGHUP, _begin_reload, doors, reloads)
        node.resume_reseal()
        node.read_listings()
        node.heads.keep_noting()
        purging = asyncio.create_task(purge_by_the_day(node))
        stack.callback(purging.cancel)
        readers = asyncio.create_task(node.accounts.watch_grants())
        stack.callback(readers.cancel)
        upkeep = asyncio.create_task(node.maintain())
        stack.callback(upkeep.cancel)
        calm_collector()
        _log.info("serving; doors open: %s", doors.described())
        _notify("READY=1")
        await stop.wait()
        _log.info("stopping: what is open may finish")
        _notify("STOPPING=1")


def control_servers(node: Node) -> list[ControlServer]:
    """The home's own socket, and one for administrators who do not own it, if one is named. Raises StartError."""

    def handler_for(uid: int) -> Handler:
        return Console(node, user_of(uid)).handle

    servers = [ControlServer(node.home.control_socket, handler_for)]
    named = node.config.administrators
    if named.socket is not None:
        try:
            group = grp.getgrnam(named.socket_group).gr_gid
        except KeyError:
            raise StartError(
                f"There is no group {named.socket_group!r} here (administrators.socket_group)."
            ) from None
        servers.append(ControlServer(named.socket, handler_for, group))
    return servers


def _begin_reload(doors: Doors, under_way: set[asyncio.Task[None]]) -> None:
    task = asyncio.get_running_loop().create_task(_reload(doors))
    under_way.add(task)
    task.add_done_callback(under_way.discard)


async def _reload(doors: Doors) -> None:
    kept = await doors.reload()
    for sentence_ in kept:
        _log.warning("not reloaded: %s", sentence_)
    _log.info("read again: %s", "all but what is said above" if kept else "certificates, rules, trust list")


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3)), when it waits to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.connect("\0" + address[1:] if address.startswith("@") else address)
        supervisor.send(state.encode())


def network_words(failure: OSError) -> str:
    if failure.errno == errno.EADDRINUSE:
        # asyncio names the address in the text alone.
        named = re.search(r"\('[^']*', (\d+)", str(failure))
        which = f"Port {named[1]}" if named else "A port"
        return f"{which} is taken by another program: end it, or choose another port in the configuration."
    if failure.errno in (errno.EACCES, errno.EPERM):
        return "A port below 1024 needs CAP_NET_BIND_SERVICE: use the unit file, or higher ports."
    return f"The node cannot start: {failure.strerror or type(failure).__name__}."
