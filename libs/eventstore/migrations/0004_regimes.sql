-- What regimes brought: the ledger of fetched history, trainings and models, inferred regimes, presets.

CREATE TABLE ingest_ledger (
    position bigint PRIMARY KEY,
    cause    bigint,
    by       text   NOT NULL, -- ingest, backfill or importer
    venue    text   NOT NULL,
    symbol   text   NOT NULL,
    interval text   NOT NULL,
    first    bigint NOT NULL, -- opening time of the first and last bar (ns)
    last     bigint NOT NULL,
    rows     bigint NOT NULL,
    missing  bigint NOT NULL,
    repaired bigint NOT NULL,
    sha256   text   NOT NULL, -- of the Parquet file, which is also the name of the object
    source   text   NOT NULL,
    ts_init  bigint NOT NULL,
    time     timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX ingest_ledger_by_instrument ON ingest_ledger (venue, symbol, interval, first);

CREATE TABLE watermarks (
    venue            text   NOT NULL,
    symbol           text   NOT NULL,
    interval         text   NOT NULL,
    chunks           bigint NOT NULL,
    first            bigint NOT NULL, -- opening time of the first bar (ns)
    until            bigint NOT NULL, -- closing time of the last one
    rows             bigint NOT NULL,
    missing          bigint NOT NULL,
    repaired         bigint NOT NULL,
    updated_position bigint NOT NULL,
    updated_ts       bigint NOT NULL,
    first_time       timestamptz GENERATED ALWAYS AS (to_timestamp(first / 1e9::float8)) STORED,
    until_time       timestamptz GENERATED ALWAYS AS (to_timestamp(until / 1e9::float8)) STORED,
    updated_at       timestamptz GENERATED ALWAYS AS (to_timestamp(updated_ts / 1e9::float8)) STORED,
    PRIMARY KEY (venue, symbol, interval)
);

CREATE TABLE trainings (
    position bigint PRIMARY KEY,
    cause    bigint,
    step     text   NOT NULL, -- requested, started, failed or published
    request  bigint NOT NULL, -- the position of the request
    family   text   NOT NULL,
    venue    text   NOT NULL,
    symbol   text   NOT NULL,
    by       text,            -- who requested it
    interval text,
    rows     bigint,          -- of bars that it is trained on
    failure  text,
    model_id text,
    reason   text,            -- of the request, or of the failure
    ts_init  bigint NOT NULL,
    time     timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX trainings_by_request ON trainings (request, position);

-- What a model was trained on and how good it was is empty where its publication is not on this tape.
CREATE TABLE models (
    model_id                   text   PRIMARY KEY,
    family                     text   NOT NULL,
    venue                      text   NOT NULL,
    symbol                     text   NOT NULL,
    status                     text   NOT NULL, -- shadow, champion or retired
    sha256                     text,
    states                     text,            -- their labels, comma-separated
    interval                   text,
    "window"                   bigint,          -- bars of an observation
    first                      bigint,          -- opening time of the first and last bar it was trained on (ns)
    last                       bigint,
    rows                       bigint,
    chunks                     text,            -- their hashes, comma-separated
    code                       text,
    seed                       bigint,
    request                    bigint,
    observations               bigint,          -- of the hold-out that it was scored on
    log_likelihood             float8,
    calibration_error          float8,
    accuracy                   float8,
    champion                   text,            -- whom it was compared with
    champion_log_likelihood    float8,
    champion_calibration_error float8,
    passed                     boolean,         -- whether the gate let it replace that one, and why
    gate                       text,
    reason                     text,            -- of the last decision on it
    decided_by                 text,
    published_position         bigint,
    published_ts               bigint,
    promoted_position          bigint,
    promoted_ts                bigint,
    retired_position           bigint,
    retired_ts                 bigint,
    updated_position           bigint NOT NULL,
    updated_ts                 bigint NOT NULL,
    published_at               timestamptz GENERATED ALWAYS AS (to_timestamp(published_ts / 1e9::float8)) STORED,
    promoted_at                timestamptz GENERATED ALWAYS AS (to_timestamp(promoted_ts / 1e9::float8)) STORED,
    retired_at                 timestamptz GENERATED ALWAYS AS (to_timestamp(retired_ts / 1e9::float8)) STORED,
    updated_at                 timestamptz GENERATED ALWAYS AS (to_timestamp(updated_ts / 1e9::float8)) STORED
);
CREATE INDEX models_by_instrument ON models (venue, symbol, family, status);

CREATE TABLE regimes (
    position       bigint  PRIMARY KEY,
    cause          bigint,
    venue          text    NOT NULL,
    symbol         text    NOT NULL,
    model_id       text    NOT NULL,
    regime         text    NOT NULL, -- a state of the model, or unknown
    confident      boolean NOT NULL,
    confidence     float8  NOT NULL,
    entropy        float8  NOT NULL, -- 0 to 1
    log_likelihood float8  NOT NULL, -- of the observation, as it was predicted (nats)
    close          float8  NOT NULL,
    probabilities  jsonb   NOT NULL, -- by state
    slow           jsonb   NOT NULL, -- by state of the slow model; empty without one
    ts_event       bigint  NOT NULL,
    ts_init        bigint  NOT NULL,
    time           timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX regimes_by_instrument ON regimes (venue, symbol, position);
CREATE INDEX regimes_by_time ON regimes (time);

CREATE TABLE presets (
    position bigint PRIMARY KEY,
    cause    bigint,
    step     text   NOT NULL, -- selected, or pinned by an operator
    strategy text   NOT NULL,
    venue    text,            -- a pin is for all instruments
    symbol   text,
    regime   text,
    preset   text,            -- pinned to none: left to experience again
    pinned   boolean NOT NULL,
    settings jsonb,
    arms     jsonb,           -- what was believed of each preset
    operator text,
    reason   text,
    ts_init  bigint NOT NULL,
    time     timestamptz GENERATED ALWAYS AS (to_timestamp(ts_init / 1e9::float8)) STORED
);
CREATE INDEX presets_by_strategy ON presets (strategy, venue, symbol, position);

INSERT INTO checkpoints (name, position)
SELECT name, 0
FROM unnest(ARRAY['ingest_ledger', 'watermarks', 'trainings', 'models', 'regimes', 'presets']) AS name;
