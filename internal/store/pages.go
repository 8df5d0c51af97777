package store

import (
	"context"
	"fmt"
	"strings"
)

// maxPageFaults bounds what SQLite says of its file, so that there is room for
// what the journal says.
const maxPageFaults = 100

// checkPages asks SQLite whether its file fits together: rows and their
// indexes, and every page in its place. What a disk has lost may not be of
// record, a message that waits or what recognises a repeat, and then no journal
// misses it. PostgreSQL looks after its own pages.
func (v *verifier) checkPages(ctx context.Context) error {
	if v.tx.db.Shared() {
		return nil
	}
	return v.tx.each(ctx, func(scan func(...any) error) error {
		var text string
		if err := scan(&text); err != nil || text == "ok" {
			return err
		}
		v.broken = true
		for what := range strings.Lines(text) {
			if !strings.HasPrefix(what, "***") { // which database: there is one
				v.fault(Fault{Table: "file", Row: "pages", What: strings.TrimSpace(what)})
			}
		}
		return nil
	}, fmt.Sprintf("PRAGMA integrity_check(%d)", maxPageFaults))
}
