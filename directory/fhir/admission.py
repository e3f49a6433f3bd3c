"""Who may ask the FHIR door, how often, and how much they are shown.

Invariants: nothing is told without a key that is in force; keys are looked up in a thread where nothing else waits,
the same one once for all who show it at once, and few at a time for one place of the network: who invents keys keeps
nobody elsewhere waiting; what is shown is counted by `harvest` before it is sent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from starlette.requests import Request

from directory.fhir.counters import Counters
from directory.fhir.keys import ApiKey, ApiKeys
from directory.fhir.outcome import FhirRefusal, too_many
from directory.fhir.rate import Rate
from directory.harvest import Harvest

KEY_HEADER = "ESANTE-API-KEY"
_MOST_LOOKED_UP = 256  # keys at once
_MOST_OF_PLACE = 32
_COUNTED_AT_ONCE = 250  # listings, on the loop


class Admission:
    def __init__(
        self,
        calls_per_second: int,
        keys: ApiKeys,
        harvest: Harvest,
        counters: Counters,
        place_of: Callable[[str], str],
    ) -> None:
        """`place_of`: what an IP address is counted as."""
        self._calls_per_second = calls_per_second
        self._keys = keys
        self._harvest = harvest
        self._counters = counters
        self._rate = Rate(calls_per_second)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fhir-keys")
        self._place_of = place_of
        self._looked_up: dict[str, asyncio.Future[ApiKey | None]] = {}
        self._of_place: Counter[str] = Counter()

    async def stop(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def admitted(self, request: Request, right: str) -> ApiKey:
        """The key it is asked with, within its rate."""
        given = request.headers.get(KEY_HEADER, "")
        key = await self._key(given, request.client.host if request.client else "") if given else None
        if key is None:
            self._counters.without_key += 1
            words = f"No key, or none in force, is in the header {KEY_HEADER}."
            raise FhirRefusal(401, "login", words, headers={"WWW-Authenticate": 'ApiKey realm="fhir"'})
        if not self._rate.take(key.id):
            self._counters.throttled += 1
            words = f"No more than {self._calls_per_second} calls a second."
            raise FhirRefusal(429, "throttled", words, headers={"Retry-After": "1"})
        if right not in key.rights:
            raise FhirRefusal(403, "forbidden", f"This key may not {right}.")
        return key

    async def _key(self, given: str, host: str) -> ApiKey | None:
        """In a thread of their own: who has no key would keep out those who have one."""
        under_way = self._looked_up.get(given)
        if under_way is None:
            place = self._place_of(host)
            if len(self._looked_up) >= _MOST_LOOKED_UP or self._of_place[place] >= _MOST_OF_PLACE:
                raise too_many()
            loop = asyncio.get_running_loop()
            under_way = loop.run_in_executor(self._pool, self._keys.find, given)
            self._looked_up[given] = under_way
            self._of_place[place] += 1
            under_way.add_done_callback(lambda _: self._ended(given, place))
        return await asyncio.shield(under_way)

    def _ended(self, given: str, place: str) -> None:
        del self._looked_up[given]
        self._of_place[place] -= 1
        if not self._of_place[place]:
            del self._of_place[place]

    def require(self, key: ApiKey) -> None:
        """Raises TooMuch where the key was shown all it may be."""
        self._harvest.require(_asker(key), trusted=True, door="fhir")

    async def counted(self, key: ApiKey, shown: list[str]) -> None:
        """Raises TooMuch; who was shown much waits."""
        count: Callable[[], float] = partial(
            self._harvest.shown, _asker(key), shown, trusted=True, door="fhir"
        )
        # Thousands are included at times: counting them would hold the loop.
        delay = count() if len(shown) <= _COUNTED_AT_ONCE else await asyncio.to_thread(count)
        if delay > 0:
            await asyncio.sleep(delay)


def _asker(key: ApiKey) -> str:
    return f"key:{key.id}"
