"""How far a stream had come when somebody looked, so that a stream that lost its storage is noticed.

A stream that is made anew has another time of creation; one that came back from an older copy has a lower
last sequence; one that was emptied has no messages. Whoever publishes remembers the position after its last
publish in the place where it remembers what it published, and publishes all of that again when the stream may
lack it. What an older copy lacks is hidden once others have published past its last sequence; therefore the
position is looked at before every publish, and at every poll.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """When the stream was made (UTC), its last sequence, its messages, how long it keeps one (0: ever)."""

    created: datetime
    last_seq: int
    messages: int
    age_s_max: float = 0

    def may_lack(self, seen: "StreamPosition") -> bool:
        """Whether something that the stream had when it was `seen` may be missing from it now."""
        if self.created != seen.created or self.last_seq < seen.last_seq:
            return True
        return self.messages == 0 and seen.messages > 0
