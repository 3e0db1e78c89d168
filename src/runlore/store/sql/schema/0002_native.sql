-- Saved views, and the answers of creations that may be asked for again.

CREATE TABLE saved_view (
    view_id TEXT NOT NULL PRIMARY KEY,      -- ten letters and digits
    experiment_id BIGINT REFERENCES experiment (experiment_id) ON DELETE CASCADE, -- NULL = of no one experiment
    name TEXT NOT NULL,
    state TEXT NOT NULL,                    -- JSON object, the dashboard's business
    revision BIGINT NOT NULL,               -- counts changes: who changes a view says which one they saw
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX saved_view_by_experiment ON saved_view (experiment_id, last_update_time);

-- What was answered to a creation that carried a key: the same key gets the same answer, and nothing is made twice.
CREATE TABLE replay (
    key TEXT NOT NULL PRIMARY KEY,          -- the client's
    request TEXT NOT NULL,                  -- digest of what was asked
    reply BLOB NOT NULL,                    -- MessagePack
    time BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX replay_time ON replay (time);

-- How far the journal of each process that logs has arrived, moved in the transaction that stores its records.
CREATE TABLE writer_mark (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    writer_id TEXT NOT NULL,                -- 32 hexadecimal digits
    next_seq BIGINT NOT NULL,               -- records of this run with smaller numbers are stored
    last_heard BIGINT NOT NULL,             -- server time of the last delivery, an empty one too
    PRIMARY KEY (run_key, writer_id)
) WITHOUT ROWID;

-- What changed, for whoever listens (marks.py): a row for a transaction, unless it changed only what a row of the last moments
-- told already. Old rows go; the newest of them stays and says from where on all are there.
CREATE TABLE change_mark (
    position BIGINT NOT NULL PRIMARY KEY,   -- SQLite: 1, 2, 3 … in order of commit; PostgreSQL: the transaction's id
    at BIGINT NOT NULL,                     -- ms; SQLite: of this machine's uptime; PostgreSQL: of its clock
    changes TEXT NOT NULL                   -- JSON
) WITHOUT ROWID;
INSERT INTO change_mark (position, at, changes) VALUES (0, 0, '[]');
