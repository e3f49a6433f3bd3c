"""How a test speaks with a JMAP program in another environment: a line of JSON each way.

`{"do": name, …arguments}` is answered `{"told": …}`, or `{"error": "type: words"}` when the library raised.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def answer(commands: dict[str, Callable[..., Any]]) -> None:
    """Until standard input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said = {"told": commands[asked.pop("do")](**asked)}
        except Exception as failure:  # whatever the library makes of what it is answered
            said = {"error": f"{type(failure).__name__}: {failure}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
