// Package safety is the pages for the bad day: stopping all payments, letting
// them go on, putting balances back, and being the second person.
package safety

import (
	"embed"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/server"
	"maillon/internal/treasury"
)

//go:embed *.html *.toml
var files embed.FS

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s}
	return frame.Room{
		Name: "safety", Files: files,
		Pages: []frame.Page{
			{Route: "GET /pause", Right: frame.Somebody, Serve: r.showPause},
			{Route: "POST /pause", Right: auth.Pause, Serve: r.pause},
			{Route: "POST /resume", Right: auth.Pause, Serve: r.resume, Fresh: true},
			{Route: "GET /restore", Right: auth.Restore, Serve: r.chooseScope},
			{Route: "GET /restore/preview", Right: auth.Restore, Serve: r.preview},
			{Route: "POST /restore", Right: auth.Restore, Serve: r.propose, Fresh: true},
			{Route: "GET /restore/{id}", Right: auth.Restore, Serve: r.showCorrection},
			{Route: "POST /restore/again", Right: auth.Restore, Serve: r.again, Fresh: true},
			{Route: "GET /approvals", Right: auth.Approve, Serve: r.listApprovals},
			{Route: "GET /approvals/{id}", Right: auth.Approve, Serve: r.showApproval},
			{Route: "POST /approvals/{id}", Right: auth.Approve, Serve: r.decide, Fresh: true},
		},
		Menu: []frame.Entry{
			{Path: "/approvals", Word: "approvals.title", Right: auth.Approve, Group: "watch", Order: 3},
			{Path: "/restore", Word: "restore.title", Right: auth.Restore, Group: "watch", Order: 5},
			{Path: "/pause", Word: "pause.menu", Right: auth.Pause, Group: "watch", Order: 6},
		},
		Approvals: map[string]frame.Approval{
			treasury.PutBack: {Word: "restore.kind", Path: "/restore/%d", Right: auth.Restore},
		},
	}
}

type room struct{ server *server.Server }
