package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"maillon/internal/member"
	"maillon/internal/poster"
	"maillon/internal/sim"
	"maillon/internal/sms"
	"maillon/internal/stall"
	"maillon/internal/stall/counter"
	"maillon/internal/store"
)

type stallPoster struct {
	seller
	Short  string `arg:"" help:"The short id of what is sold."`
	URL    string `required:"" name:"url" help:"This server, as buyers reach it: the QR code leads there." placeholder:"https://HOST"`
	Size   string `default:"A5" help:"The paper: A6, A5, A4, 58mm (a ticket), 3x8 or 2x4 (stickers on A4)."`
	Lang   string `default:"fr" help:"The languages, with commas: fr, ar, zgh, en."`
	Number string `help:"The number that buyers text; that of the default gateway without it."`
	Output string `required:"" short:"o" placeholder:"FILE" help:"The page to write, .svg or .pdf; it must not exist."`
}

// Run draws a poster and writes it.
func (c stallPoster) Run(ctx context.Context, out *Streams) error {
	at, err := url.Parse(c.URL)
	if err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" || at.User != nil {
		return exitf(ExitUsage, "--url: https://HOST is expected, as buyers reach this server")
	}
	write, err := c.format()
	if err != nil {
		return err
	}
	size, err := poster.ParseSize(c.Size)
	if err != nil {
		return exitf(ExitUsage, "--size %s: A6, A5, A4, 58mm, 3x8 or 2x4 is expected", c.Size)
	}
	languages, err := poster.ParseLanguages(c.Lang)
	if err != nil {
		return exitf(ExitUsage, "--lang %s: %w", c.Lang, poster.ErrLanguage)
	}
	number, err := c.number()
	if err != nil {
		return err
	}
	page, err := newPage(c.Output)
	if err != nil {
		return err
	}
	defer page.discard()
	err = c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		t, err := b.Stalls.Sold(ctx, tx, c.Short)
		if err != nil {
			return err
		}
		if t.Stall != id {
			return store.ErrNotFound
		}
		b.Posters.Number = number
		p, err := b.Posters.Poster(ctx, tx, t, counter.Origin(at.Host, at.Scheme == "https"), languages)
		if err != nil {
			return err
		}
		scene, err := b.Posters.Draw(ctx, p, size)
		if err != nil {
			return exitf(ExitNo, "%w; nothing was written", err)
		}
		var text bytes.Buffer
		if err := write(scene, &text); err != nil {
			return err
		}
		return page.write(text.Bytes())
	})
	if err != nil {
		return err
	}
	if err := page.keep(); err != nil {
		return exitf(ExitTrouble, "keep the page: %w", err)
	}
	_, err = fmt.Fprintf(out.Out, "%s: print it at 100 %%\n", c.Output)
	return err
}

func (c stallPoster) format() (func(*poster.Scene, io.Writer) error, error) {
	switch strings.ToLower(filepath.Ext(c.Output)) {
	case ".svg":
		return (*poster.Scene).SVG, nil
	case ".pdf":
		return (*poster.Scene).PDF, nil
	}
	return nil, exitf(ExitUsage, "--output %s: the name of a page ends in .svg or .pdf", c.Output)
}

// number finds which number buyers text: the one given, or that of the default
// gateway, or else of the first one that has any.
func (c stallPoster) number() (number sms.Number, err error) {
	config, err := c.config()
	if err != nil {
		return number, err
	}
	region := config.Settings.Region()
	if c.Number != "" {
		if number, err = sms.ParseNumber(c.Number, region); err != nil {
			return number, exitf(ExitUsage, "--number is no telephone number")
		}
		return number, nil
	}
	if len(config.Gateways) == 0 {
		return sim.VillageNumber(), nil
	}
	for _, g := range config.Gateways {
		if n, err := sms.ParseNumber(cmp.Or(g.Number, g.From), region); err == nil && (number.IsZero() || g.Default) {
			number = n
		}
	}
	if number.IsZero() {
		return number, exitf(ExitUsage, "no gateway has a number that buyers could text: give one with --number")
	}
	return number, nil
}
