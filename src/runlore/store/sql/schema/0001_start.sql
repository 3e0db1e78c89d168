-- One schema for SQLite and PostgreSQL. On PostgreSQL BLOB is read as BYTEA and "WITHOUT ROWID" is dropped; nothing else differs.
--
-- Every per-run table starts its primary key with run_key, 63 bits derived from the run's UUID: joins are compact, a run's rows
-- lie together on disk, and PostgreSQL's Citus can shard each of these tables by it. Times are Unix milliseconds.
-- A NaN is stored as NULL where the column says so, because SQLite can not hold a NaN.

CREATE TABLE counter (                      -- numbers that are never given twice, even after hard deletes
    name TEXT NOT NULL PRIMARY KEY,
    next BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE secret (                       -- keys of this store's own, made with it
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL                     -- hexadecimal digits
) WITHOUT ROWID;
INSERT INTO secret (name, value) VALUES ('addresses', '{secret}');

CREATE TABLE experiment (
    experiment_id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    artifact_location TEXT NOT NULL,
    deleted_time BIGINT,                    -- NULL = active
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL
);
CREATE UNIQUE INDEX experiment_active_name ON experiment (name) WHERE deleted_time IS NULL;

CREATE TABLE experiment_tag (
    experiment_id BIGINT NOT NULL REFERENCES experiment (experiment_id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment_id, key)
) WITHOUT ROWID;

CREATE TABLE run (
    run_key BIGINT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,                   -- 32 hexadecimal digits, lower case
    experiment_id BIGINT NOT NULL REFERENCES experiment (experiment_id),
    name TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    start_time BIGINT NOT NULL,
    end_time BIGINT,
    deleted_time BIGINT,                    -- NULL = active, -1 = being purged: it can not be restored any more
    artifact_uri TEXT NOT NULL,
    next_tail BIGINT NOT NULL DEFAULT 0,    -- seq of the next metric_tail row; also serialises writers of one run
    next_series BIGINT NOT NULL DEFAULT 0,  -- number of the next metric of this run
    merged_tail BIGINT NOT NULL DEFAULT 0,  -- tail rows below this seq were merged by folding; the rest are one per call
    loose_points BIGINT NOT NULL DEFAULT 0, -- points in tail rows from merged_tail on
    latest_time BIGINT NOT NULL DEFAULT -9223372036854775808, -- greatest timestamp of any metric point
    tail_token BIGINT NOT NULL DEFAULT 0,   -- changed by whatever writes to the metric tables: what writers remember holds until then
    last_activity BIGINT NOT NULL,          -- server time of the last write
    shape BIGINT                            -- which keys the run has, as one number (shapes.py); NULL = not known, it is being written
) WITHOUT ROWID;
-- In order of run_key, as the per-run tables are: a search that looks up a value for each run of an experiment reads them in
-- sequence (100,000 runs: 89 ms against 214 ms by an index in order of time).
CREATE INDEX run_by_experiment ON run (experiment_id, deleted_time, run_key, shape);
CREATE INDEX run_active ON run (experiment_id, start_time DESC, run_id, deleted_time) WHERE deleted_time IS NULL;
CREATE INDEX run_newest ON run (start_time DESC, run_id, deleted_time) WHERE deleted_time IS NULL; -- over all experiments
CREATE INDEX run_without_shape ON run (last_activity) WHERE shape IS NULL;
CREATE INDEX run_deleted ON run (deleted_time, run_key) WHERE deleted_time IS NOT NULL;

CREATE TABLE param (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    number DOUBLE PRECISION,                -- the value as a finite number, where it is one
    PRIMARY KEY (run_key, key)
) WITHOUT ROWID;
CREATE INDEX param_number ON param (key, number, run_key);

CREATE TABLE run_tag (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_key, key)
) WITHOUT ROWID;
CREATE INDEX run_tag_key ON run_tag (key, run_key);
CREATE INDEX run_tag_parent ON run_tag (substr(value, 1, 32), run_key) WHERE key = 'mlflow.parentRunId';

-- The summary of each metric of each run, kept at write time. "last" is the point with the greatest (step, timestamp), ties
-- by arrival, as MLflow defines it. min, max and sum look at finite values only.
CREATE TABLE metric (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    series BIGINT NOT NULL,                 -- small number of the metric within its run
    count BIGINT NOT NULL,                  -- points, non-finite ones too
    non_finite BIGINT NOT NULL,
    last_value DOUBLE PRECISION,            -- NULL = NaN
    last_step BIGINT NOT NULL,
    last_time BIGINT NOT NULL,
    first_value DOUBLE PRECISION,           -- NULL = NaN
    first_step BIGINT NOT NULL,
    first_time BIGINT NOT NULL,
    min_value DOUBLE PRECISION,             -- NULL = no finite value yet
    min_step BIGINT,
    max_value DOUBLE PRECISION,
    max_step BIGINT,
    sum_value DOUBLE PRECISION NOT NULL,
    max_time BIGINT NOT NULL,               -- greatest timestamp and step seen: a point beyond either can not be a repeat
    greatest_step BIGINT NOT NULL,
    folded BIGINT NOT NULL DEFAULT 0,       -- points that are in chunks; the rest are in the tail
    model_id TEXT,                          -- of the last point
    dataset_name TEXT,
    dataset_digest TEXT,
    PRIMARY KEY (run_key, key)
) WITHOUT ROWID;
-- 50,000 runs of 10 metrics: a page in the order of a metric takes 3 ms by this index and 97 ms without it. It makes a call of 5
-- metrics no slower that could be measured, a call of 1,000 by about a third to a half.
CREATE INDEX metric_last ON metric (key, last_value, run_key);

-- One row per log call: packed columns of (series, step, time, value), format in series/chunk.py. Folding merges rows, and
-- moves the points of long series to chunks. The points of one series are in order of arrival.
CREATE TABLE metric_tail (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    min_series BIGINT NOT NULL,
    max_series BIGINT NOT NULL,
    min_time BIGINT NOT NULL,
    latest_time BIGINT NOT NULL,            -- greatest timestamp in this row and all rows before it
    data BLOB NOT NULL,
    PRIMARY KEY (run_key, seq)
) WITHOUT ROWID;

-- Folded points of one metric: up to 4,096 a row, in order of arrival.
CREATE TABLE metric_chunk (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    series BIGINT NOT NULL,
    first_index BIGINT NOT NULL,            -- arrival number of the chunk's first point
    points BIGINT NOT NULL,
    min_step BIGINT NOT NULL,
    max_step BIGINT NOT NULL,
    min_time BIGINT NOT NULL,
    max_time BIGINT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run_key, series, first_index)
);

-- Pages of pyramid nodes: level k covers 2^k points a node, format in series/pyramid.py.
CREATE TABLE metric_pyramid (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    series BIGINT NOT NULL,
    level BIGINT NOT NULL,
    page BIGINT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run_key, series, level, page)
);

-- The metric values that were logged against a logged model or a dataset: the last one of each combination.
CREATE TABLE model_metric (
    model_id TEXT NOT NULL,
    run_key BIGINT NOT NULL,
    key TEXT NOT NULL,
    dataset_name TEXT NOT NULL,             -- '' = none
    dataset_digest TEXT NOT NULL,
    value DOUBLE PRECISION,                 -- NULL = NaN
    step BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (model_id, key, run_key, dataset_name, dataset_digest)
) WITHOUT ROWID;
CREATE INDEX model_metric_run ON model_metric (run_key);

CREATE TABLE run_dataset (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    position BIGINT NOT NULL,               -- order of arrival within the run
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT,
    profile TEXT,
    tags TEXT NOT NULL,                     -- JSON object
    PRIMARY KEY (run_key, name, digest)
);
CREATE INDEX run_dataset_name ON run_dataset (name, digest, run_key);

CREATE TABLE run_model (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    direction TEXT NOT NULL,                -- 'input' or 'output'
    model_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (run_key, direction, model_id)
) WITHOUT ROWID;

CREATE TABLE logged_model (
    model_id TEXT NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES experiment (experiment_id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    artifact_uri TEXT NOT NULL,
    status TEXT NOT NULL,                   -- PENDING, READY, UPLOAD_FAILED
    status_message TEXT,
    model_type TEXT,
    source_run_id TEXT,
    creator_id TEXT,
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    deleted_time BIGINT                     -- NULL = active, -1 = being purged
) WITHOUT ROWID;
CREATE INDEX logged_model_by_experiment ON logged_model (experiment_id, creation_time);
CREATE INDEX logged_model_by_run ON logged_model (source_run_id);

CREATE TABLE logged_model_param (
    model_id TEXT NOT NULL REFERENCES logged_model (model_id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
) WITHOUT ROWID;

CREATE TABLE logged_model_tag (
    model_id TEXT NOT NULL REFERENCES logged_model (model_id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
) WITHOUT ROWID;

CREATE TABLE registered_model (
    name TEXT NOT NULL PRIMARY KEY,
    folded_name TEXT NOT NULL UNIQUE,       -- composed (NFC) and case-folded: such names are one name
    description TEXT,
    next_version BIGINT NOT NULL DEFAULT 1, -- numbers of deleted versions are not given again
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE registered_model_tag (
    name TEXT NOT NULL REFERENCES registered_model (name) ON UPDATE CASCADE ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, key)
) WITHOUT ROWID;

CREATE TABLE model_version (
    name TEXT NOT NULL REFERENCES registered_model (name) ON UPDATE CASCADE ON DELETE CASCADE,
    version BIGINT NOT NULL,
    source TEXT NOT NULL,
    storage_location TEXT NOT NULL,         -- where the files are: pinned when the version is made
    run_id TEXT,
    run_link TEXT,
    model_id TEXT,
    user_id TEXT,
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    status_message TEXT,
    description TEXT,
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    PRIMARY KEY (name, version)
) WITHOUT ROWID;
CREATE INDEX model_version_run ON model_version (run_id);
CREATE INDEX model_version_model ON model_version (model_id);
CREATE INDEX model_version_place ON model_version (storage_location);

CREATE TABLE model_version_tag (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, version, key),
    FOREIGN KEY (name, version) REFERENCES model_version (name, version) ON UPDATE CASCADE ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE model_alias (
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (name, alias),
    FOREIGN KEY (name, version) REFERENCES model_version (name, version) ON UPDATE CASCADE ON DELETE CASCADE
) WITHOUT ROWID;

-- Directories of files whose run or logged model was purged: noted with the purge, forgotten when the files are gone.
CREATE TABLE released_files (
    uri TEXT NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL
) WITHOUT ROWID;

INSERT INTO experiment (experiment_id, name, artifact_location, creation_time, last_update_time)
VALUES (0, 'Default', 'mlflow-artifacts:/0', {now}, {now});
INSERT INTO counter (name, next) VALUES ('experiment', 1);
