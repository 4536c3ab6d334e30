-- How far the stream of events had come when the relay last saw it. What was published to a stream that has
-- lost its storage since is published again.
CREATE TABLE treasury.relay_position (
    stream text NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL,
    last_seq bigint NOT NULL CHECK (last_seq >= 0),
    messages bigint NOT NULL CHECK (messages >= 0)
);

GRANT SELECT, INSERT, UPDATE ON treasury.relay_position TO tollhouse_relay;
