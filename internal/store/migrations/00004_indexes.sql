-- +goose Up

-- Most orders never ask for a code: they stay out of this index, and what looks
-- for a code says that there is one.
DROP INDEX orders_asked;
CREATE INDEX orders_asked ON orders (asked, code_end) WHERE code_end > 0;
