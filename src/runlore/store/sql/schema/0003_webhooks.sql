-- Webhooks and alerts, and the messages to them.

CREATE TABLE webhook (
    webhook_id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,                     -- registry (MLflow's events) or alert (events of runs)
    name TEXT NOT NULL,
    description TEXT,
    url TEXT NOT NULL,
    events TEXT NOT NULL,                   -- JSON list of words such as model_version.created
    experiment_ids TEXT NOT NULL,           -- JSON list of numbers, empty = of all
    secret TEXT,                            -- signs messages, and is never given out
    status TEXT NOT NULL,                   -- ACTIVE or DISABLED
    creation_time BIGINT NOT NULL,
    last_update_time BIGINT NOT NULL,
    failures BIGINT NOT NULL DEFAULT 0,     -- attempts in a row that failed
    paused_until BIGINT NOT NULL DEFAULT 0  -- nothing is sent before: the receiver has difficulties
) WITHOUT ROWID;

-- Messages: written in the transaction of what they tell, sent afterwards.
CREATE TABLE webhook_delivery (
    delivery_id TEXT NOT NULL PRIMARY KEY,
    webhook_id TEXT NOT NULL,
    event TEXT NOT NULL,
    body TEXT NOT NULL,                     -- JSON, as it is sent
    status TEXT NOT NULL,                   -- PENDING, DELIVERED, FAILED
    attempts BIGINT NOT NULL DEFAULT 0,
    due BIGINT NOT NULL,                    -- not before: whoever sends it moves this ahead first, so that nobody else does
    creation_time BIGINT NOT NULL,
    last_attempt BIGINT,
    response_status BIGINT,
    error TEXT
) WITHOUT ROWID;
CREATE INDEX webhook_delivery_due ON webhook_delivery (due) WHERE status = 'PENDING';
CREATE INDEX webhook_delivery_of ON webhook_delivery (webhook_id, creation_time);

-- What was told of a run, so that it is told once.
CREATE TABLE alert_told (
    run_key BIGINT NOT NULL REFERENCES run (run_key) ON DELETE CASCADE,
    webhook_id TEXT NOT NULL,
    event TEXT NOT NULL,                    -- of a run that was lost: with the time at which it was heard of last
    time BIGINT NOT NULL,
    PRIMARY KEY (run_key, webhook_id, event)
) WITHOUT ROWID;
CREATE INDEX alert_told_to ON alert_told (webhook_id);

-- Those that may be lost: few, and looked at often.
CREATE INDEX run_running ON run (run_key) WHERE status = 'RUNNING';
