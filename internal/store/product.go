package store

import (
	"context"
	"regexp"
)

var productVersion = regexp.MustCompile(`\d+(\.\d+)*`)

// Product returns which database keeps the books: "SQLite 3.50.4".
func (db *DB) Product(ctx context.Context) (name string, err error) {
	product, text := "SQLite ", `SELECT sqlite_version()`
	if db.Shared() {
		product, text = "PostgreSQL ", `SELECT version()`
	}
	err = db.View(ctx, func(tx *Tx) error { return tx.row(ctx, text).Scan(&name) })
	return product + productVersion.FindString(name), err
}
