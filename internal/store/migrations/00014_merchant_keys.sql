-- +goose Up

-- A key may be a merchant's: its kind is how it begins, such as sk_live.
ALTER TABLE api_key ADD COLUMN kind TEXT NOT NULL DEFAULT 'maillon';
ALTER TABLE api_key ADD COLUMN merchant INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_key ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX api_key_merchant ON api_key (merchant);
