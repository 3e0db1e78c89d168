-- Runs that go on after a pause: points that were logged again, params that changed.

ALTER TABLE run ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;    -- how often the run was resumed
ALTER TABLE param ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;  -- that of the run when the value was logged
ALTER TABLE writer_mark ADD COLUMN ended BIGINT NOT NULL DEFAULT 0; -- 1 = the process is known to be gone
ALTER TABLE writer_mark ADD COLUMN generation BIGINT NOT NULL DEFAULT 0; -- that of the run in the writer's last delivery

CREATE TABLE run_resume (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    generation BIGINT NOT NULL,             -- 1, 2, 3 …
    session_id TEXT NOT NULL,               -- the client's: resuming may be asked for again
    time BIGINT NOT NULL,
    PRIMARY KEY (run_key, generation)
) WITHOUT ROWID;

-- Metrics that were logged again since the run was resumed.
CREATE TABLE metric_resume (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    generation BIGINT NOT NULL,
    earlier BIGINT NOT NULL,                -- points of the metric that had arrived by then
    from_step BIGINT,                       -- points of earlier generations from here on are replaced; NULL = no step was given yet
    replaced BIGINT NOT NULL,               -- how many were
    PRIMARY KEY (run_key, key, generation)
) WITHOUT ROWID;

-- Points that were replaced, as blocks (series/chunk.py) in the order in which they were stored or came too late.
CREATE TABLE metric_replaced (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    generation BIGINT NOT NULL,             -- that replaced them
    part BIGINT NOT NULL,
    points BIGINT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run_key, key, generation, part)
);

-- Values that params had before a resumed run logged others.
CREATE TABLE param_former (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    generation BIGINT NOT NULL,             -- that logged another value
    value TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (run_key, key, generation)
) WITHOUT ROWID;
