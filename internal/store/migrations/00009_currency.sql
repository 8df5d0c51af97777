-- +goose Up

-- Groups say who gets which starting credit and who is spared demurrage; "" is
-- everybody else. What the groups are stands in state.
ALTER TABLE member ADD COLUMN grp TEXT NOT NULL DEFAULT '';
