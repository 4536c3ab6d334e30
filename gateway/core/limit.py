"""How often an agent may call: a token bucket for each, refilled evenly.

`{calls: 100, per_s: 60}` allows a burst of 100 and 100 in any 60 seconds after it. Buckets are kept for the
agents that called last; one that was forgotten is full.
"""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class TokenBuckets:
    """Buckets by key, at most `keys_max` of them. Time is given, in seconds that never go back."""

    def __init__(self, keys_max: int) -> None:
        self._keys_max = keys_max
        self._buckets: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()

    def take(self, key: tuple[str, ...], calls: int, per_s: float, now_s: float) -> float:
        """Take one token; answers 0, or the seconds until there will be one."""
        rate = calls / per_s
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(calls, now_s)
            if len(self._buckets) > self._keys_max:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        bucket.tokens = min(calls, bucket.tokens + (now_s - bucket.at_s) * rate)
        bucket.at_s = now_s
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate
        bucket.tokens -= 1
        return 0.0
