package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"maillon/internal/money"
	"maillon/internal/phones"
	"maillon/internal/server"
	"maillon/internal/sim"
	"maillon/internal/store"
)

// Bounds of the HTTP server. Streams of the page of phones end by themselves.
const (
	headerTime = 5 * time.Second
	readTime   = 15 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 16 << 10
	closeTime  = 5 * time.Second // for requests at the end
	healthTime = 3 * time.Second
)

type serveCommand struct {
	place
	Listen string `help:"Where to listen." placeholder:"HOST:PORT" default:"127.0.0.1:8080" env:"MAILLON_LISTEN"`
	Public bool   `help:"Listen also where others than this machine can reach; the page of phones is not served there."`
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, io *Streams) (err error) {
	loopback, err := c.checkListen()
	if err != nil {
		return err
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	listener, err := c.listen(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	s, g, release, err := c.start(ctx, config)
	if err != nil {
		return err
	}
	defer release()
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := config.Register(ctx, s); err != nil {
		return err
	}
	opened := false
	if !config.Given {
		if opened, err = sim.OpenVillage(ctx, s); err != nil {
			return fmt.Errorf("open the village: %w", err)
		}
	}
	run := &running{server: s, gateways: g, folder: c.folder(), listener: listener}
	if loopback && g.virtual != nil {
		run.show(config)
	}
	run.greet(io, opened)
	return run.run(ctx)
}

// checkListen refuses to listen where others can reach, unless told. It reports
// whether only this machine can.
func (c *serveCommand) checkListen() (loopback bool, err error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false, exitf(ExitUsage, "--listen %s: HOST:PORT is expected, such as 127.0.0.1:8080", c.Listen)
	}
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
		return true, nil
	}
	if !c.Public {
		return false, exitf(ExitUsage, "--listen %s can be reached from other machines: add --public if that is meant, "+
			"and keep it behind a proxy that speaks HTTPS", c.Listen)
	}
	return false, nil
}

func (c *serveCommand) listen(ctx context.Context) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, exitf(ExitUsage, "%s is in use by another program: choose another port with --listen, such as --listen 127.0.0.1:8081", c.Listen)
	}
	if err != nil {
		return nil, exitf(ExitUsage, "--listen %s: %w", c.Listen, err)
	}
	return l, nil
}

// start opens the folder for this server alone.
func (c *serveCommand) start(ctx context.Context, config Config) (_ *server.Server, _ *gateways, release func(), err error) {
	book, err := config.Book()
	if err != nil {
		return nil, nil, nil, err
	}
	g, err := config.open()
	if err != nil {
		return nil, nil, nil, err
	}
	secret, err := c.folder().Secret(true)
	if err != nil {
		return nil, nil, nil, err
	}
	if release, err = c.folder().Lock(); err != nil {
		return nil, nil, nil, err
	}
	settings := config.Settings
	if !config.Given {
		settings = sim.VillageSettings()
	}
	s, err := server.Open(ctx, server.Config{
		Path: c.folder().Books(), Secret: secret, Settings: settings, Book: book, Lines: g.lines, Always: g.always,
	})
	if err != nil {
		release()
		return nil, nil, nil, exitf(ExitTrouble, "open %s: %w", c.folder().Books(), err)
	}
	if err := (&books{s, c.folder()}).checkUnit(ctx); err != nil {
		err = errors.Join(err, s.Close())
		release()
		return nil, nil, nil, err
	}
	return s, g, release, nil
}

// running is a server at work.
type running struct {
	server   *server.Server
	gateways *gateways
	folder   Folder
	listener net.Listener
	village  *sim.Village
	page     *phones.Page // nil where others could reach it
}

// show makes the page of phones.
func (r *running) show(config Config) {
	set := r.server.Settings
	r.village = sim.NewVillage(r.server, r.gateways.virtual)
	r.page = phones.New(r.village, phones.Options{
		Association: set.Association, Service: r.gateways.own(), Region: set.Region(), Location: set.Zone,
		Symbol: func(c money.Currency) string { return set.UnitOf(c).Symbol },
	})
}

// greet tells where to look, and what to try.
func (r *running) greet(io *Streams, opened bool) {
	url := "http://" + r.listener.Addr().String() + "/"
	if opened {
		fmt.Fprintf(io.Out, "A village of demonstration members has moved into %s.\n", r.folder.dir())
	}
	if r.page == nil {
		fmt.Fprintf(io.Out, "maillon serves %sgateway/… from %s. Stop it with Ctrl-C.\n", url, r.folder.dir())
		return
	}
	fmt.Fprintf(io.Out, "Open %s in a browser: phones to try maillon with.\n"+
		"On yann's phone write: solde, then: vir=50 num=0639980090, and send back the code.\n"+
		"Everything is in %s. Stop it with Ctrl-C.\n", url, r.folder.dir())
}

// run serves until ctx ends: then HTTP stops, then the messages, then the books.
func (r *running) run(ctx context.Context) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	web := &http.Server{
		Handler: r.routes(), ReadHeaderTimeout: headerTime, ReadTimeout: readTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return serving },
		ErrorLog:    slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	failed := make(chan error, 3)
	var all sync.WaitGroup
	all.Go(func() {
		if err := web.Serve(r.listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve: %w", err)
		}
	})
	all.Go(func() {
		if err := r.server.Run(working); err != nil {
			failed <- err
		}
	})
	all.Go(func() {
		if err := r.folder.Listen(working, r.server.DB.Wake); err != nil {
			slog.WarnContext(ctx, "changes by other commands are noticed late", "error", err)
		}
	})
	if r.page != nil {
		all.Go(func() { r.village.Run(working, r.page) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopServing() // streams end
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if e := web.Shutdown(closing); e != nil {
		err = errors.Join(err, web.Close())
	}
	stopWorking()
	all.Wait()
	return err
}

func (r *running) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", r.health)
	for name, h := range r.gateways.handlers {
		mux.Handle("/gateway/"+name+"/", h)
	}
	mux.Handle("/gateway/", http.NotFoundHandler())
	if r.page != nil {
		mux.Handle("/", r.page)
	}
	return mux
}

// health answers 200 while the books can be written and no line is down.
func (r *running) health(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), healthTime)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := r.server.DB.Update(ctx, func(*store.Tx) error { return nil }); err != nil {
		http.Error(w, "the books cannot be written", http.StatusServiceUnavailable)
		return
	}
	for _, l := range r.gateways.lines {
		if !l.Gateway.Health().Up {
			http.Error(w, "gateway "+l.Name+" is down", http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}
