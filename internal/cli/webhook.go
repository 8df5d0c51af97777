package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"maillon/internal/webhook"
)

// maxHook bounds what a call of a webhook may say, in octets.
const maxHook = 256 << 10

// webhooks reads [webhooks].
func (r *configReader) webhooks(tree map[string]any) {
	table, ok := r.table(tree, "webhooks", "webhooks")
	if !ok {
		return
	}
	s := &section{r, "webhooks", "webhooks", maps.Clone(table)}
	r.config.HooksAnywhere = s.yes("insecure")
	for _, key := range slices.Sorted(maps.Keys(s.left)) {
		r.fault("webhooks."+key, "unknown key; there is insecure")
	}
}

// webhookOptions say how the endpoints of merchants are called. Without any
// configuration somebody tries things on this machine.
func (c Config) webhookOptions() webhook.Options {
	o := webhook.Options{Insecure: c.HooksAnywhere, Local: !c.Given}
	if !o.Insecure {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return o
}

// webhookCommand is for whoever writes a program that hears of events.
type webhookCommand struct {
	Listen webhookListen `cmd:"" help:"Print the events that come to this machine, those that are signed with the secret."`
}

type webhookListen struct {
	Listen     string `default:"127.0.0.1:9000" help:"Where to listen." placeholder:"HOST:PORT"`
	SecretFile string `help:"A file with the secret of the endpoint, whsec_…; else MAILLON_WEBHOOK_SECRET is read." placeholder:"FILE"`
	Secret     string `env:"MAILLON_WEBHOOK_SECRET" hidden:"" help:"The secret; it stands in no list of processes."`
	Status     int    `default:"204" help:"What to answer to a good one, to see what becomes of others." placeholder:"CODE"`
}

// Run prints events until ctx ends.
func (c webhookListen) Run(ctx context.Context, streams *Streams) error {
	secret := webhook.Secret(strings.TrimSpace(c.Secret))
	if c.SecretFile != "" {
		text, err := readSecretFile(c.SecretFile)
		if err != nil {
			return &ExitError{ExitUsage, err}
		}
		secret = webhook.Secret(strings.TrimSpace(text))
	}
	if _, err := secret.Sign("evt_1", time.Now(), nil); err != nil {
		return exitf(ExitUsage, "%w: give it with MAILLON_WEBHOOK_SECRET or --secret-file", err)
	}
	if c.Status < http.StatusOK || c.Status > maxStatus {
		return exitf(ExitUsage, "--status %d: from 200 to %d is expected", c.Status, maxStatus)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return exitf(ExitTrouble, "--listen %s: %w", c.Listen, err)
	}
	web := &http.Server{
		Handler: c.handler(secret, streams), ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	fmt.Fprintf(streams.Err, "events that come to http://%s/ are printed. Ctrl-C ends it.\n", l.Addr())
	ended := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer ended()
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// maxStatus is the last code that HTTP has.
const maxStatus = 599

// handler prints one line for each event: its ID, its type, and what it is about.
func (c webhookListen) handler(secret webhook.Secret, streams *Streams) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		id := r.Header.Get(webhook.HeaderID)
		err = secret.Verify(id, r.Header.Get(webhook.HeaderTimestamp), r.Header.Get(webhook.HeaderSignature), body, time.Now())
		if err != nil {
			fmt.Fprintf(streams.Err, "refused: %v\n", err)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		var e webhook.Shown
		var line bytes.Buffer
		if json.Unmarshal(body, &e) != nil || json.Compact(&line, e.Data.Object) != nil {
			http.Error(w, "that is no event", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(streams.Out, "%s %s %s\n", e.ID, e.Type, &line)
		w.WriteHeader(c.Status)
	})
}
