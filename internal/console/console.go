// Package console is the web pages of those who run a currency. It puts the
// rooms of pages into their frame; each room stands beneath this package.
package console

import (
	"log/slog"

	"maillon/internal/console/audit"
	"maillon/internal/console/currency"
	"maillon/internal/console/door"
	"maillon/internal/console/figures"
	"maillon/internal/console/frame"
	"maillon/internal/console/home"
	"maillon/internal/console/merchants"
	"maillon/internal/console/people"
	"maillon/internal/console/safety"
	"maillon/internal/console/settings"
	"maillon/internal/console/stalls"
	"maillon/internal/console/till"
	"maillon/internal/console/watch"
	"maillon/internal/server"
)

// New returns the console of a server. It serves what is beneath frame.Root.
func New(s *server.Server, door frame.Door, log *slog.Logger) (*frame.Frame, error) {
	return frame.New(Options(s, door, log), Rooms(s)...)
}

// Options are those of the frame around the pages of a server.
func Options(s *server.Server, door frame.Door, log *slog.Logger) frame.Options {
	return frame.Options{DB: s.DB, Settings: s.Settings, Voice: s.Desk.Voice, Door: door, Log: log}
}

// Rooms are all rooms of pages, in the order of the menu.
func Rooms(s *server.Server) []frame.Room {
	return []frame.Room{
		home.New(s), people.New(s), safety.New(s), till.New(s), currency.New(s), merchants.New(s), stalls.New(s), door.New(s),
		watch.New(s), audit.New(s), settings.New(s),
		figures.New(s),
	}
}
