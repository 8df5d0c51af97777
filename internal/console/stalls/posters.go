package stalls

import (
	"bytes"
	"context"
	"errors"

	"maillon/internal/console/frame"
	"maillon/internal/poster"
	"maillon/internal/stall"
	"maillon/internal/stall/counter"
	"maillon/internal/store"
)

// Sizes returns the papers of posters.
func (stand) Sizes() []poster.Size { return poster.Sizes() }

// Tongues returns the languages of posters.
func (stand) Tongues() []poster.Language { return poster.Languages() }

// poster gives the poster of what a stall sells, to print. Its code leads to the
// host by which the console is read.
func (r room) poster(v *frame.Visit) error {
	q := v.Request.URL.Query()
	size, err := poster.ParseSize(q.Get("size"))
	if err != nil {
		return store.ErrNotFound
	}
	var languages []poster.Language
	for _, l := range q["lang"] {
		languages = append(languages, poster.Language(l))
	}
	var p poster.Poster
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		m, err := its(ctx, tx, v)
		if err != nil {
			return err
		}
		t, err := r.Sold(ctx, tx, q.Get("template"))
		if err != nil {
			return err
		}
		if t.Stall != stall.Of(m.ID) {
			return store.ErrNotFound
		}
		p, err = r.server.Posters.Poster(ctx, tx, t, counter.Origin(v.Request.Host, frame.Secure(v.Request)), languages)
		return err
	})
	if err != nil {
		return cannotPrint(err)
	}
	scene, err := r.server.Posters.Draw(v.Request.Context(), p, size)
	if err != nil {
		return cannotPrint(err)
	}
	var file bytes.Buffer
	if err := scene.PDF(&file); err != nil {
		return err
	}
	_, err = file.WriteTo(v.Download(p.Short+"-"+size.Name+".pdf", "application/pdf"))
	return err
}

// cannotPrint is sorry, for posters.
func cannotPrint(err error) error {
	switch {
	case errors.Is(err, counter.ErrNumber):
		return frame.Sorry("stalls.wrong.number")
	case errors.Is(err, poster.ErrLanguage):
		return frame.Sorry("stalls.wrong.language")
	case errors.Is(err, poster.ErrLetter):
		return frame.Sorry("stalls.wrong.letter")
	case errors.Is(err, poster.ErrLong), errors.Is(err, poster.ErrCrowded):
		return frame.Sorry("stalls.wrong.crowded")
	}
	return sorry(err)
}
