"""Makes bytes ready to be laid down: compressed when that pays, then encrypted.

Invariants: compression comes before encryption and only when asked (never for what is already sealed); a probe
of the first 64 kB must gain more than a fifth. Compressors belong to one thread each.
"""

from __future__ import annotations

import threading

import zstandard

from mail_server.store.at_rest import Cipher, bound_blob
from mail_server.store.interface import Damaged
from mail_server.store.model import AccountId, StagedBlob

PLAIN = 0
ZSTD = 1
_PROBE = 64 * 1024
_TOO_SMALL = 128
_threads = threading.local()


def stage_blob(
    cipher: Cipher,
    owner: AccountId | None,
    blob_id: bytes,
    clear: bytes,
    *,
    compress: bool,
    levels: tuple[int, int],
) -> StagedBlob:
    """`levels` are zstd's for what is as short as the probe, and for what is longer."""
    data, codec = (_compressed(clear, levels) if compress else None), ZSTD
    if data is None:
        data, codec = clear, PLAIN
    stored = cipher.seal_body(data, bound_blob(owner, blob_id, codec))
    return StagedBlob(blob_id, owner, stored, len(clear), codec)


def open_blob(cipher: Cipher, blob: StagedBlob) -> bytes:
    data = cipher.open(blob.stored, bound_blob(blob.owner, blob.blob_id, blob.codec))
    if blob.codec == ZSTD:
        try:
            data = _decompressor().decompress(data, max_output_size=blob.clear_size)
        except zstandard.ZstdError:
            raise Damaged("a stored body does not decompress") from None
    if len(data) != blob.clear_size:
        raise Damaged("a stored body has another length than it had")
    return data


def _compressed(clear: bytes, levels: tuple[int, int]) -> bytes | None:
    if len(clear) < _TOO_SMALL:
        return None
    compressor = _compressor(levels[0])
    probe = clear if len(clear) <= _PROBE else clear[:_PROBE]
    data = compressor.compress(probe)
    if len(data) > len(probe) * 4 // 5:
        return None
    return data if len(probe) == len(clear) else _compressor(levels[1]).compress(clear)


def _compressor(level: int) -> zstandard.ZstdCompressor:
    made: dict[int, zstandard.ZstdCompressor] | None = getattr(_threads, "compressors", None)
    if made is None:
        made = _threads.compressors = {}
    if level not in made:
        made[level] = zstandard.ZstdCompressor(level=level)
    return made[level]


def _decompressor() -> zstandard.ZstdDecompressor:
    made: zstandard.ZstdDecompressor | None = getattr(_threads, "decompressor", None)
    if made is None:
        made = _threads.decompressor = zstandard.ZstdDecompressor()
    return made
