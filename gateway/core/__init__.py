"""Pure: no await, no clock, no socket. Everything here is tested with values."""
