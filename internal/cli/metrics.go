package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"maillon/internal/metrics"
	"maillon/internal/server"
)

// maxScrapers bounds who asks for metrics at once.
const maxScrapers = 8

// listenMetrics opens the listener that Prometheus asks, nil if there is none.
// The flag goes before the configuration.
func (c *serveCommand) listenMetrics(ctx context.Context, config Config) (net.Listener, error) {
	where := c.Metrics
	if where == "" {
		where = config.Metrics
	}
	if where == "" {
		return nil, nil //nolint:nilnil // nobody asked for one
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", where)
	if err != nil {
		return nil, exitf(ExitTrouble, "metrics: listen on %s: %w", where, err)
	}
	return l, nil
}

// serveMetrics answers Prometheus until stop is called, on a listener of its own:
// the public one never tells how the server does.
func serveMetrics(l net.Listener, s *server.Server) (stop func() error) {
	if l == nil {
		return func() error { return nil }
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(s))
	web := &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := web.Serve(bound(l, maxScrapers)); !errors.Is(err, http.ErrServerClosed) {
			slog.Error("metrics stopped", "error", err)
		}
	})
	return func() error {
		defer serving.Wait()
		if err := web.Close(); err != nil {
			return fmt.Errorf("stop metrics: %w", err)
		}
		return nil
	}
}
