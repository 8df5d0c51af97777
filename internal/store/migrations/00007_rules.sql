-- +goose Up

-- What a rule did, by what it judged, and how its alert ended. Facts are IDs,
-- references, sums and times, no names.
ALTER TABLE alert ADD COLUMN act TEXT NOT NULL DEFAULT 'warn';
ALTER TABLE alert ADD COLUMN facts TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN ended_by TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE INDEX alert_open ON alert (id) WHERE ended_at = 0 AND act <> 'log';
CREATE INDEX alert_rule ON alert (rule, id);
CREATE INDEX alert_member ON alert (member, id) WHERE member > 0;
