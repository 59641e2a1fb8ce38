-- Tables folded from events. Any of them can be rebuilt: no foreign keys, no triggers, nothing written by hand.
-- `*_ts` is ns UTC as in the events; the generated `*_at` and `time` are the same for people and Grafana.

CREATE TABLE orders (
    client_order_id      text    PRIMARY KEY,
    strategy             text    NOT NULL,
    venue                text    NOT NULL,
    symbol               text    NOT NULL,
    side                 text, -- the terms are unknown until order.initialized
    order_type           text,
    quantity             numeric,
    limit_price          numeric,
    time_in_force        text,
    reduce_only          boolean,
    status               text    NOT NULL,
    status_before_cancel text, -- what order.cancel_rejected returns to
    venue_order_id       text,
    filled_quantity      numeric NOT NULL,
    filled_value         numeric NOT NULL,
    average_price        numeric GENERATED ALWAYS AS (filled_value / nullif(filled_quantity, 0)) STORED,
    fees                 numeric NOT NULL,
    reason               text,
    created_position     bigint  NOT NULL,
    created_ts           bigint  NOT NULL,
    created_at           timestamptz GENERATED ALWAYS AS (to_timestamp(created_ts / 1e9::float8)) STORED,
    updated_position     bigint  NOT NULL,
    updated_ts           bigint  NOT NULL,
    updated_at           timestamptz GENERATED ALWAYS AS (to_timestamp(updated_ts / 1e9::float8)) STORED
);
CREATE INDEX orders_by_strategy ON orders (strategy, created_position);
CREATE INDEX orders_open ON orders (status)
    WHERE status IN ('initialized', 'submitted', 'accepted', 'pending_cancel', 'partially_filled');

CREATE TABLE fills (
    position        bigint  PRIMARY KEY,
    cause           bigint,
    client_order_id text    NOT NULL,
    strategy        text    NOT NULL,
    venue           text    NOT NULL,
    symbol          text    NOT NULL,
    trade_id        text    NOT NULL,
    side            text    NOT NULL,
    price           numeric NOT NULL,
    quantity        numeric NOT NULL,
    cumulative      numeric NOT NULL,
    leaves          numeric NOT NULL,
    fee             numeric NOT NULL,
    currency        text    NOT NULL,
    liquidity       text    NOT NULL,
    ts_event        bigint  NOT NULL,
    ts_init         bigint  NOT NULL,
    time            timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX fills_by_order ON fills (client_order_id);
CREATE INDEX fills_by_instrument ON fills (venue, symbol, time);

CREATE TABLE positions (
    strategy         text    NOT NULL,
    venue            text    NOT NULL,
    symbol           text    NOT NULL,
    quantity         numeric NOT NULL,
    average_price    numeric,
    realized_pnl     numeric NOT NULL,
    fees             numeric NOT NULL,
    mark             numeric NOT NULL,
    value            numeric NOT NULL,
    unrealized_pnl   numeric NOT NULL,
    updated_position bigint  NOT NULL,
    updated_ts       bigint  NOT NULL,
    updated_at       timestamptz GENERATED ALWAYS AS (to_timestamp(updated_ts / 1e9::float8)) STORED,
    PRIMARY KEY (strategy, venue, symbol)
);

-- One row per strategy and second: an ordinary table, so that a rebuild can swap it like the others.
CREATE TABLE equity (
    position       bigint  PRIMARY KEY,
    strategy       text    NOT NULL,
    currency       text    NOT NULL,
    cash           numeric NOT NULL,
    equity         numeric NOT NULL,
    realized_pnl   numeric NOT NULL,
    unrealized_pnl numeric NOT NULL,
    fees           numeric NOT NULL,
    peak           numeric NOT NULL,
    ts_event       bigint  NOT NULL,
    ts_init        bigint  NOT NULL,
    time           timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX equity_by_strategy ON equity (strategy, time);

-- A projection that is added later starts at 0 and waits for its first rebuild.
INSERT INTO checkpoints (name, position) VALUES ('orders', 0), ('fills', 0), ('positions', 0), ('equity', 0);
