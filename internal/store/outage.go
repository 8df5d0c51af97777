package store

import (
	"errors"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// IsOutage reports whether an error comes from the disk or the machine, not from
// what was asked: the same Update may well succeed later.
func IsOutage(err error) bool {
	if _, ok := errors.AsType[errOutage](err); ok {
		return true
	}
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return errors.Is(err, ErrBusy) || errors.Is(err, ErrClosed) || errors.Is(err, ErrMoved)
	}
	switch e.Code() & 0xff { // without what SQLite adds about it
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}
