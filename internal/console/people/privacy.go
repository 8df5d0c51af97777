package people

import (
	"context"
	"encoding/json"
	"fmt"

	"maillon/internal/console/frame"
	"maillon/internal/privacy"
	"maillon/internal/setting"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// maxPrinted bounds the lines of each list on the page; the file has them all.
const maxPrinted = 300

// dossier gathers what is known of a member, at most so many lines of each list.
// That it was is written down.
func (r room) dossier(v *frame.Visit, most int) (d *privacy.Dossier, err error) {
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.member(ctx, tx, v)
		if err != nil {
			return err
		}
		tx.Act(v.By(), "member.export", treasury.By(m), "")
		d, err = privacy.Registrar{Set: r.server.Settings, Teller: r.server.Teller, Most: most}.Dossier(ctx, tx, m)
		return err
	})
	return d, err
}

// data shows what is known of a member, to be printed for her.
func (r room) data(v *frame.Visit) error {
	d, err := r.dossier(v, maxPrinted)
	if err != nil {
		return err
	}
	for _, acts := range [][]privacy.Act{d.Acts, d.Looks} {
		for n := range acts {
			acts[n].What = deed(v, acts[n].What)
		}
	}
	return v.Show("data", d)
}

// dataFile gives the same for a program.
func (r room) dataFile(v *frame.Visit) error {
	d, err := r.dossier(v, 0)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	_, err = v.Download(fmt.Sprintf("maillon-%s.json", d.Member.ID), "application/json").Write(text)
	return err
}

// A keeping says how long something is kept.
type keeping struct {
	What, Long string
	Has        bool // it was counted
	Now        store.Kept
}

type privacyView struct {
	Association, Desk, Help string
	Kept                    []keeping
	Counted                 bool
	Overdue                 int64 // what should have been destroyed
}

func (r room) privacyView(v *frame.Visit) privacyView {
	set := r.server.Settings
	p := privacyView{Association: set.Association, Desk: setting.In(set.Desk, v.Language()), Help: set.Help}
	for _, what := range kinds() {
		p.Kept = append(p.Kept, keeping{What: v.Say("kept." + what), Long: v.Say("kept." + what + ".long")})
	}
	return p
}

// kinds are the kinds of what is kept.
func kinds() []string {
	return []string{"sms", "strangers", "gifts", "tallies", "nick", "refused", "backups", "acts", "books"}
}

// privacy says what is kept how long, and counts it.
func (r room) privacy(v *frame.Visit) error {
	p := r.privacyView(v)
	var now store.Retention
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		now, err = tx.Retention(ctx)
		return err
	})
	if err != nil {
		return err
	}
	counted := map[string]store.Kept{
		"sms": now.Texts, "strangers": now.Strangers, "tallies": now.Tallies, "nick": now.Nicks, "refused": now.Refused, "acts": now.Acts, "books": now.Entries,
	}
	p.Counted, p.Overdue = true, now.Overdue
	for n, what := range kinds() {
		p.Kept[n].Now, p.Kept[n].Has = counted[what]
	}
	return v.Show("privacy", p)
}

func (r room) notice(v *frame.Visit) error  { return v.Show("notice", r.privacyView(v)) }
func (r room) records(v *frame.Visit) error { return v.Show("records", r.privacyView(v)) }
