package figures

import (
	"context"
	"io"
	"time"

	"maillon/internal/console/frame"
	"maillon/internal/export"
	"maillon/internal/store"
)

// An exportForm is what the page of exports knows.
type exportForm struct {
	Formats []export.Format
	Names   []export.Naming
	Format  export.Format
	Naming  export.Naming
	Wrong   string
}

func newExportForm() exportForm {
	return exportForm{Formats: export.Formats(), Names: export.Namings(), Format: export.French, Naming: export.Number}
}

func (r room) showExports(v *frame.Visit) error { return v.Show("exports", newExportForm()) }

// export has the journal note who takes what, and then gives it.
func (r room) export(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	set := r.server.Settings
	o := export.Options{
		Format: export.Format(v.Value("format")), Names: export.Naming(v.Value("names")), Association: set.Association, Zone: set.Zone,
	}
	if o.Check() != nil {
		f := newExportForm()
		f.Wrong = v.Say("exports.wrong")
		return v.Refuse("exports", f)
	}
	err := v.Update(func(_ context.Context, tx *store.Tx) error {
		tx.Act(v.By(), "export", string(o.Format)+":"+string(o.Names), "")
		return nil
	})
	if err != nil {
		return err
	}
	name, kind := o.File(time.Now())
	return v.Stream(name, kind, func(to io.Writer) error {
		ctx := context.WithoutCancel(v.Context()) // it may take longer than a page
		return r.server.DB.View(ctx, func(tx *store.Tx) error { return export.Write(ctx, tx, to, o) })
	})
}
