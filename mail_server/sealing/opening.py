"""Opening an OpenPGP message inside a worker process.

Invariant: clear text lies in memory-backed files alone, so that RLIMIT_FSIZE stops a decompression bomb as it swells;
what the library gave out before it found the integrity check wrong is thrown away with the file.
"""

from __future__ import annotations

import os
import resource

import pysequoia

from mail_server.sealing.frames import Slug
from mail_server.sealing.serving import Failed


def opened(message: bytes, decryptor: pysequoia.PyDecryptor) -> bytes:
    """The clear text of a binary message. Raises Failed."""
    sealed = os.memfd_create("sealed", os.MFD_CLOEXEC)
    clear = os.memfd_create("clear", os.MFD_CLOEXEC)
    try:
        _write(sealed, message)
        pysequoia.decrypt_file(f"/proc/self/fd/{sealed}", f"/proc/self/fd/{clear}", decryptor)
        size = os.fstat(clear).st_size
        return os.pread(clear, size, 0)
    except (RuntimeError, ValueError):
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        full = limit != resource.RLIM_INFINITY and os.fstat(clear).st_size >= limit
        raise Failed(Slug.TOO_LARGE if full else Slug.CANNOT_OPEN) from None
    except OSError:
        raise Failed(Slug.TOO_LARGE) from None
    finally:
        os.close(sealed)
        os.close(clear)


def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
