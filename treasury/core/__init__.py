"""Pure: no await, no clock, no socket. Times come as arguments, by the database's clock."""
