-- The permanent copy of the tape: every message is in exactly one of events, quotes, trades, bars and unreadable.
-- Partitioned by position, so that the primary key is the position itself.

CREATE TABLE events (
    seq         bigint      PRIMARY KEY,
    ts          timestamptz NOT NULL, -- of the event's ts_init, which the payload keeps to the nanosecond
    subject     text        NOT NULL,
    type        text        NOT NULL,
    version     integer     NOT NULL, -- the one the archive wrote: older ones are lifted on the way in
    msg_id      text        NOT NULL,
    cause       bigint,
    ts_recorded bigint      NOT NULL,
    payload     jsonb       NOT NULL
);
SELECT create_hypertable('events', by_range('seq', 1000000), create_default_indexes => false);
CREATE INDEX events_by_type ON events (type, seq);

-- Indexes of market data cost more than the rows: no venue, and ascending, where appending splits no pages in half.

CREATE TABLE quotes (
    time        timestamptz NOT NULL, -- of ts_init
    seq         bigint      NOT NULL,
    ts_event    bigint      NOT NULL,
    ts_init     bigint      NOT NULL,
    cause       bigint,
    ts_recorded bigint      NOT NULL,
    msg_id      text        NOT NULL,
    venue       text        NOT NULL,
    symbol      text        NOT NULL,
    bid         float8      NOT NULL,
    bid_size    float8      NOT NULL,
    ask         float8      NOT NULL,
    ask_size    float8      NOT NULL
);
SELECT create_hypertable('quotes', by_range('time', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX quotes_by_seq ON quotes (seq);
CREATE INDEX quotes_by_symbol ON quotes (symbol, time);

CREATE TABLE trades (
    time        timestamptz NOT NULL,
    seq         bigint      NOT NULL,
    ts_event    bigint      NOT NULL,
    ts_init     bigint      NOT NULL,
    cause       bigint,
    ts_recorded bigint      NOT NULL,
    msg_id      text        NOT NULL,
    venue       text        NOT NULL,
    symbol      text        NOT NULL,
    price       float8      NOT NULL,
    size        float8      NOT NULL,
    aggressor   text        NOT NULL,
    trade_id    text        NOT NULL
);
SELECT create_hypertable('trades', by_range('time', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX trades_by_seq ON trades (seq);
CREATE INDEX trades_by_symbol ON trades (symbol, time);

CREATE TABLE bars (
    time        timestamptz NOT NULL,
    seq         bigint      NOT NULL,
    ts_event    bigint      NOT NULL,
    ts_init     bigint      NOT NULL,
    cause       bigint,
    ts_recorded bigint      NOT NULL,
    msg_id      text        NOT NULL,
    venue       text        NOT NULL,
    symbol      text        NOT NULL,
    interval    text        NOT NULL,
    ts_open     bigint      NOT NULL,
    ts_close    bigint      NOT NULL,
    open        float8      NOT NULL,
    high        float8      NOT NULL,
    low         float8      NOT NULL,
    close       float8      NOT NULL,
    volume      float8      NOT NULL,
    trades      bigint      NOT NULL
);
SELECT create_hypertable('bars', by_range('time', INTERVAL '7 days'), create_default_indexes => false);
CREATE INDEX bars_by_seq ON bars (seq);
CREATE INDEX bars_by_symbol ON bars (symbol, interval, time);

-- Messages that are no event, kept as they came.
CREATE TABLE unreadable (
    seq     bigint PRIMARY KEY,
    subject text   NOT NULL,
    headers jsonb  NOT NULL,
    payload bytea  NOT NULL,
    reason  text   NOT NULL
);

-- How far the archive and each projection have come; they move in the transaction that writes the rows.
CREATE TABLE checkpoints (
    name     text        PRIMARY KEY,
    position bigint      NOT NULL CHECK (position >= 0),
    moved_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO checkpoints (name, position) VALUES ('archive', 0);
