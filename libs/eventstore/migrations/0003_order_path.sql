-- What the order path brought: all terms of an order, hedged positions, funding, trades that ended, locks, capital.
-- Rows that are there get what a fold of the events they came from would give them, so that a rebuild finds no difference.

ALTER TABLE orders RENAME COLUMN status_before_cancel TO otherwise; -- what a refused request leads back to
ALTER TABLE orders
    ADD COLUMN trigger_price    numeric,
    ADD COLUMN trigger_by       text,
    ADD COLUMN trail_offset     numeric,
    ADD COLUMN trail_kind       text,
    ADD COLUMN expires_at       bigint,
    ADD COLUMN post_only        boolean,
    ADD COLUMN display_quantity numeric,
    ADD COLUMN list_id          text,
    ADD COLUMN parent_id        text,
    ADD COLUMN contingency      text,
    ADD COLUMN slippage         numeric NOT NULL DEFAULT 0; -- what the fills cost more than the arrival price
ALTER TABLE orders ADD COLUMN
    slippage_bps numeric GENERATED ALWAYS AS (10000 * slippage / nullif(filled_value, 0)) STORED;
UPDATE orders SET post_only = false WHERE side IS NOT NULL;
DROP INDEX orders_open;
CREATE INDEX orders_open ON orders (status)
    WHERE status NOT IN ('denied', 'rejected', 'filled', 'canceled', 'expired');
CREATE INDEX orders_by_list ON orders (list_id) WHERE list_id IS NOT NULL;

ALTER TABLE fills
    ADD COLUMN fee_currency text,
    ADD COLUMN slippage_bps float8;
UPDATE fills SET fee_currency = currency;
ALTER TABLE fills ALTER COLUMN fee_currency SET NOT NULL;

ALTER TABLE positions
    ADD COLUMN position_side text    NOT NULL DEFAULT 'net',
    ADD COLUMN funding       numeric NOT NULL DEFAULT 0;
ALTER TABLE positions DROP CONSTRAINT positions_pkey;
ALTER TABLE positions ADD CONSTRAINT positions_pkey PRIMARY KEY (strategy, venue, symbol, position_side);

ALTER TABLE equity
    ADD COLUMN funding  numeric NOT NULL DEFAULT 0,
    ADD COLUMN balances numeric NOT NULL DEFAULT 0; -- what other currencies are worth

CREATE TABLE order_events (
    position        bigint PRIMARY KEY,
    cause           bigint,
    client_order_id text   NOT NULL,
    strategy        text   NOT NULL,
    venue           text   NOT NULL,
    symbol          text   NOT NULL,
    step            text   NOT NULL, -- the name of the event type
    price           numeric,
    quantity        numeric,
    detail          text,
    ts_event        bigint NOT NULL,
    ts_init         bigint NOT NULL,
    time            timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX order_events_by_order ON order_events (client_order_id);

CREATE TABLE trades_closed (
    position     bigint  PRIMARY KEY,
    cause        bigint,
    strategy     text    NOT NULL,
    venue        text    NOT NULL,
    symbol       text    NOT NULL,
    side         text    NOT NULL, -- of the entry
    quantity     numeric NOT NULL,
    entry_price  numeric NOT NULL,
    exit_price   numeric NOT NULL,
    realized_pnl numeric NOT NULL,
    fees         numeric NOT NULL,
    funding      numeric NOT NULL,
    net_pnl      numeric GENERATED ALWAYS AS (realized_pnl - fees + funding) STORED,
    opened_at    bigint  NOT NULL,
    closed_at    bigint  NOT NULL,
    closed_by    text    NOT NULL,
    stopped      boolean NOT NULL,
    ts_init      bigint  NOT NULL,
    time         timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX trades_closed_by_strategy ON trades_closed (strategy, time);

CREATE TABLE strategy_pnl (
    strategy         text    NOT NULL,
    day              text    NOT NULL, -- of the exit, UTC: 2026-01-31
    trades           bigint  NOT NULL,
    won              bigint  NOT NULL,
    stopped          bigint  NOT NULL,
    gains            numeric NOT NULL, -- what the trades that won brought, after fees and funding
    losses           numeric NOT NULL, -- what the others lost
    fees             numeric NOT NULL,
    funding          numeric NOT NULL,
    net_pnl          numeric GENERATED ALWAYS AS (gains - losses) STORED,
    updated_position bigint  NOT NULL,
    updated_ts       bigint  NOT NULL,
    updated_at       timestamptz GENERATED ALWAYS AS (to_timestamp(updated_ts / 1e9::float8)) STORED,
    PRIMARY KEY (strategy, day)
);

-- Who holds trading back: the operator, guards, and rails that have locked something. Whom a lock or its lifting is for
-- is empty where it is for all; a lock is in force until its time, unless one that covers it was lifted after it.
CREATE TABLE risk_state (
    kind             text   NOT NULL, -- operator, guard or lock
    name             text   NOT NULL, -- of the guard or rail
    strategy         text   NOT NULL,
    instrument       text   NOT NULL,
    state            text,            -- of trading
    locked_until     bigint,
    locked_position  bigint NOT NULL,
    lifted_position  bigint NOT NULL,
    operator         text,
    reason           text   NOT NULL,
    updated_position bigint NOT NULL,
    updated_ts       bigint NOT NULL,
    updated_at       timestamptz GENERATED ALWAYS AS (to_timestamp(updated_ts / 1e9::float8)) STORED,
    PRIMARY KEY (kind, name, strategy, instrument)
);

CREATE TABLE capital (
    position bigint  PRIMARY KEY,
    cause    bigint,
    step     text    NOT NULL, -- proposed, decided or allocated
    proposal bigint,           -- the position of the proposal it is about
    strategy text,             -- a decision names the proposal only
    capital  numeric,
    before   numeric,
    share    float8,
    policy   text,
    approved boolean,
    operator text,
    reason   text    NOT NULL,
    ts_init  bigint  NOT NULL,
    time     timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX capital_by_strategy ON capital (strategy, position);
CREATE INDEX capital_by_proposal ON capital (proposal);

CREATE TABLE alerts (
    position  bigint PRIMARY KEY,
    cause     bigint,
    component text   NOT NULL,
    severity  text   NOT NULL,
    code      text   NOT NULL,
    message   text   NOT NULL,
    ts_event  bigint NOT NULL,
    ts_init   bigint NOT NULL,
    time      timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX alerts_by_time ON alerts (time);

INSERT INTO checkpoints (name, position)
SELECT name, 0
FROM unnest(
    ARRAY['order_events', 'trades_closed', 'strategy_pnl', 'risk_state', 'capital', 'alerts']
) AS name;
