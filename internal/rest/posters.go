package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"maillon/internal/auth"
	"maillon/internal/poster"
	"maillon/internal/stall"
	"maillon/internal/stall/counter"
	"maillon/internal/store"
)

// problemPoster says that a poster cannot be drawn, and its field why.
var problemPoster = problemOf(http.StatusUnprocessableEntity, "poster", "the poster cannot be drawn")

// usualSize and usualLanguage are those of a poster that is asked for without any.
const (
	usualSize     = "A5"
	usualLanguage = "fr"
)

// printers write a drawing in a format.
var printers = map[string]struct {
	kind  string
	write func(*poster.Scene, io.Writer) error
}{
	"svg": {"image/svg+xml", (*poster.Scene).SVG},
	"pdf": {"application/pdf", (*poster.Scene).PDF},
}

// poster is an operation that draws what a template says on a counter. Its QR
// code leads to the host that was asked.
func (h *Handler) poster(format string) operation {
	print := printers[format]
	return shop(auth.TemplatesRead, func(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
		size, languages, err := readPoster(r)
		if err != nil {
			return err
		}
		var t *stall.Template
		var p poster.Poster
		err = h.db.View(r.Context(), func(tx *store.Tx) error {
			c, err := h.begin(r.Context(), tx, r, who)
			if err != nil {
				return err
			}
			if _, t, err = h.template(r.Context(), c); err != nil {
				return err
			}
			p, err = h.posters.Poster(r.Context(), tx, t, counter.Origin(r.Host, r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"), languages)
			return err
		})
		if err != nil {
			return posterProblem(err)
		}
		scene, err := h.posters.Draw(r.Context(), p, size)
		if err != nil {
			return posterProblem(err)
		}
		var out bytes.Buffer
		if err := print.write(scene, &out); err != nil {
			return err
		}
		w.Header().Set("Content-Type", print.kind)
		w.Header().Set("Content-Disposition", `inline; filename="`+t.Short+"-"+size.Name+"."+format+`"`)
		_, _ = out.WriteTo(w) // whoever has gone can ask again
		return nil
	})
}

func readPoster(r *http.Request) (size poster.Size, languages []poster.Language, err error) {
	wanted, spoken := usualSize, usualLanguage
	set := func(to *string) func(string) bool {
		return func(v string) bool { *to = v; return true }
	}
	if err := readQuery(r, filters{"size": set(&wanted), "lang": set(&spoken)}); err != nil {
		return size, nil, err
	}
	if size, err = poster.ParseSize(wanted); err != nil {
		return size, nil, problemParameter.because("the parameter size is one of A6, A5, A4, 58mm, 3x8 and 2x4")
	}
	if languages, err = poster.ParseLanguages(spoken); err != nil {
		return size, nil, problemParameter.because("the parameter lang is one or more of fr, ar, zgh and en, with commas, each once")
	}
	return size, languages, nil
}

// posterProblem says what is wrong with a poster.
func posterProblem(err error) error {
	if f, ok := errors.AsType[*poster.FieldError](err); ok {
		p := problemPoster.because(f.Error())
		p.Field = f.Field
		return p
	}
	if errors.Is(err, poster.ErrCrowded) {
		return problemPoster.because(poster.ErrCrowded.Error())
	}
	return err
}
