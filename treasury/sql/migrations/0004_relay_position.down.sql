DROP TABLE treasury.relay_position;
