-- +goose Up

-- Members are listed by how they stand, the newest first.
CREATE INDEX member_state ON member (state, id);
CREATE INDEX member_blocked ON member (id) WHERE frozen_at > 0 OR lost_at > 0;
CREATE INDEX member_locked ON member (locked_till) WHERE locked_till > 0;
