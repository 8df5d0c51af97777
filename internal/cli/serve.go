package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"maillon/internal/auth"
	"maillon/internal/checkout"
	"maillon/internal/console"
	"maillon/internal/console/door"
	"maillon/internal/console/frame"
	"maillon/internal/copies"
	"maillon/internal/phones"
	"maillon/internal/reference"
	"maillon/internal/rest"
	"maillon/internal/server"
	"maillon/internal/sim"
	"maillon/internal/stall/card"
	"maillon/internal/stall/counter"
	stallpage "maillon/internal/stall/page"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// Bounds of the HTTP server. Streams of the page of phones end by themselves.
const (
	headerTime = 5 * time.Second
	readTime   = 15 * time.Second
	writeTime  = 30 * time.Second // a stream of the page sets its own, again and again
	idleTime   = 2 * time.Minute
	maxHeader  = 16 << 10
	closeTime  = 5 * time.Second // for requests at the end
	maxConns   = 512
	maxDrain   = 30 * time.Second // systemd and Kubernetes kill after 45 seconds
	readyTime  = 2 * time.Second  // for the phones to be up
	readyStep  = 5 * time.Millisecond
	firstCopy  = 10 * time.Second // after the start, so that it is not slowed
)

type serveCommand struct {
	place
	Listen string `help:"Where to listen." placeholder:"HOST:PORT" default:"127.0.0.1:8080" env:"MAILLON_LISTEN"`
	Public bool   `help:"Listen also where others than this machine can reach; the page of phones is not served there."`

	Metrics string        `help:"Where Prometheus may ask for metrics, apart from all else; nowhere without it." placeholder:"HOST:PORT" env:"MAILLON_METRICS"`
	Drain   time.Duration `help:"How long to answer on at the end, while /readyz says no more: for a balancer that looks only now and then." placeholder:"TIME" default:"0s"`
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, io *Streams) (err error) {
	address, err := c.address(ctx)
	if err != nil {
		return err
	}
	if c.Drain < 0 || c.Drain > maxDrain {
		return exitf(ExitUsage, "--drain %s: a time from 0s to %s is expected", c.Drain, maxDrain)
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	gateways, err := config.open()
	if err != nil {
		return err
	}
	home, err := c.serverHome(config)
	if err != nil {
		return err
	}
	if !home.shared {
		// Before the port: two servers on one folder most often want one port too.
		release, err := c.folder().Lock()
		if err != nil {
			return err
		}
		defer release()
	}
	listener, err := c.listen(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	scraped, err := c.listenMetrics(ctx, config)
	if err != nil {
		return err
	}
	if scraped != nil {
		defer func() { _ = scraped.Close() }()
	}
	linked, err := listenLink(ctx, config.Link)
	if err != nil {
		return err
	}
	defer linked.Close()
	r := &round{config: config, home: home, listener: listener, scraped: scraped, linked: linked, greet: true}
	for {
		again, err := c.serve(ctx, io, r, gateways)
		if err != nil || !again {
			return err
		}
		slog.InfoContext(ctx, "settings changed, opening again")
		if gateways, err = config.open(); err != nil {
			return err
		}
		r.greet = false
	}
}

// A round is what stays when the server is opened again because its settings
// changed. Whoever calls meanwhile waits at the listeners.
type round struct {
	config            Config
	home              home
	listener, scraped net.Listener
	linked            linkListener
	greet             bool
}

// serve opens a server and serves until ctx ends, or its settings have changed:
// then it reports true.
func (c *serveCommand) serve(ctx context.Context, io *Streams, r *round, g *gateways) (again bool, err error) {
	listener, err := another(r.listener)
	if err != nil {
		return false, err
	}
	defer func() { _ = listener.Close() }()
	scraped, err := another(r.scraped)
	if err != nil {
		return false, err
	}
	s, err := c.start(ctx, r.config, r.home, g)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	stop := serveMetrics(scraped, s)
	defer func() { err = errors.Join(err, stop()) }()
	if g.link != nil {
		g.link.Use(s.DB)
	}
	leave, err := serveLink(r.linked, g.link)
	defer func() { err = errors.Join(err, leave()) }()
	if err != nil {
		return false, err
	}
	plans, err := r.config.plans()
	if err != nil {
		return false, err
	}
	run := &running{
		server: s, gateways: g, plans: plans, folder: c.folder(), home: r.home, listener: bound(listener, maxConns), scraped: scraped, drain: c.Drain,
	}
	run.readiness.try = run.tryWrite
	village, err := run.settle(ctx, r.config)
	if err != nil {
		return false, err
	}
	if c.loopback(listener) && g.virtual != nil {
		run.show()
	}
	current, end := context.WithCancel(ctx)
	defer end()
	outdated := make(chan bool, 1)
	go func() {
		outdated <- s.Outdated(current)
		end()
	}()
	err = run.run(current, func() {
		if r.greet {
			run.greet(io, r.config, village)
		}
	})
	end()
	return <-outdated && ctx.Err() == nil, err
}

// loopback reports whether only this machine reaches a listener.
func (*serveCommand) loopback(l net.Listener) bool {
	at, err := netip.ParseAddrPort(l.Addr().String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// another returns a second listener on the same queue, so that closing it turns
// nobody away; nil for nil.
func another(l net.Listener) (net.Listener, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, nil //nolint:nilnil // there is none to be another of
	}
	f, err := tcp.File()
	if err != nil {
		return nil, fmt.Errorf("listen again: %w", err)
	}
	defer func() { _ = f.Close() }() // FileListener has its own
	return net.FileListener(f)
}

// address finds where to listen, and refuses where others can reach, unless
// told. A name is looked up once: what was checked is what is listened on.
func (c *serveCommand) address(ctx context.Context) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return netip.AddrPort{}, exitf(ExitUsage, "--listen %s: HOST:PORT is expected, such as 127.0.0.1:8080", c.Listen)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, exitf(ExitUsage, "--listen %s: %q is no port", c.Listen, port)
	}
	addr := netip.IPv6Unspecified() // every one of this machine
	if host != "" {
		all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil || len(all) == 0 {
			return netip.AddrPort{}, exitf(ExitUsage, "--listen %s: no such host on this machine", c.Listen)
		}
		addr = all[0].Unmap()
	}
	if !addr.IsLoopback() && !c.Public {
		return netip.AddrPort{}, exitf(ExitUsage, "--listen %s can be reached from other machines: add --public if that is meant, "+
			"and keep it behind a proxy that speaks HTTPS", c.Listen)
	}
	return netip.AddrPortFrom(addr, uint16(number)), nil //nolint:gosec // a port
}

func (c *serveCommand) listen(ctx context.Context, address netip.AddrPort) (net.Listener, error) {
	where := address.String()
	if address.Addr().IsUnspecified() {
		where = ":" + strconv.Itoa(int(address.Port())) // also where there is no IPv6
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", where)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, exitf(ExitTrouble, "%s is in use by another program: choose another port with --listen, such as --listen 127.0.0.1:8081", c.Listen)
	}
	if err != nil {
		return nil, exitf(ExitTrouble, "--listen %s: %w", c.Listen, err)
	}
	return l, nil
}

// serverHome finds the books to serve; those of a folder may be begun.
func (c *serveCommand) serverHome(config Config) (home, error) {
	if config.Database.URL != "" {
		return c.home(config, false)
	}
	secret, err := c.folder().Secret(true)
	return home{where: c.folder().Books(), name: c.folder().Books(), kept: c.folder().dir(), secret: secret}, err
}

// start opens the books.
func (c *serveCommand) start(ctx context.Context, config Config, home home, g *gateways) (*server.Server, error) {
	book, err := config.Book()
	if err != nil {
		return nil, err
	}
	s, err := server.Open(ctx, server.Config{
		Path: home.where, Secret: home.secret, Settings: config.Settings, Fixed: config.Fixed, Book: book, Lines: g.lines, Always: g.always,
		Webhooks: config.webhookOptions(),
	})
	if err != nil {
		return nil, exitf(ExitTrouble, "open %s: %w", home.name, err)
	}
	if config.SlowQuery == 0 {
		config.SlowQuery = store.UsuallySlow
	}
	s.DB.SetSlow(max(config.SlowQuery, 0))
	if err := (&books{s, c.folder()}).checkUnit(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// running is a server at work.
type running struct {
	server   *server.Server
	gateways *gateways
	folder   Folder
	home     home
	listener net.Listener
	scraped  net.Listener // by Prometheus; nil if nowhere
	village  *sim.Village
	page     *phones.Page // nil where others could reach it
	drain    time.Duration
	plans    []copies.Plan // of copies off the machine

	console   http.Handler // the pages of the administrators
	first     auth.Token   // lets the first of them in; "" once there is one
	reference http.Handler // what programs can ask, for people
	stall     http.Handler // the page by which stalls sell without network
	cards     http.Handler // the pages that their posters lead to
	checkout  http.Handler // the page of shops that have no program

	readiness readiness
}

// settle brings the books to what the configuration says of people: its
// administrators, or without any configuration the village. It reports which
// village the books hold.
func (r *running) settle(ctx context.Context, config Config) (sim.Presence, error) {
	if err := config.Register(ctx, r.server); err != nil {
		return sim.Absent, err
	}
	village, err := sim.OpenVillage(ctx, r.server, !config.Given)
	if err != nil {
		return village, fmt.Errorf("open the village: %w", err)
	}
	err = r.server.DB.Update(ctx, func(tx *store.Tx) (err error) {
		r.first, err = r.server.Gate.InviteFirst(ctx, tx, treasury.Operator)
		return err
	})
	if err != nil {
		return village, fmt.Errorf("invite the first administrator: %w", err)
	}
	if r.console, err = console.New(r.server, r.server.Gate, nil); err != nil {
		return village, err
	}
	if r.reference, err = reference.New(); err != nil {
		return village, err
	}
	if r.stall, err = stallpage.New(r.server.Stalls); err != nil {
		return village, err
	}
	if r.cards, err = card.New(r.server.DB, r.server.Posters); err != nil {
		return village, err
	}
	r.checkout, err = checkout.New(checkout.Options{DB: r.server.DB, Settings: r.server.Settings, Merchants: r.server.Merchants})
	return village, err
}

// show makes the page of phones.
func (r *running) show() {
	set := r.server.Settings
	r.village = sim.NewVillage(r.server, r.gateways.virtual)
	r.page = phones.New(r.village, phones.Options{
		Association: set.Association, Service: r.server.Posters.Number, Region: set.Region(), Location: set.Zone,
		Symbol: set.Symbol,
	})
}

// greet tells where to look, and what to try.
func (r *running) greet(io *Streams, config Config, village sim.Presence) {
	url := "http://" + r.listener.Addr().String() + "/"
	switch {
	case r.page == nil && len(r.gateways.handlers) == 0:
		fmt.Fprintf(io.Out, "maillon is at work on %s: the API is at %sv1/, its health %shealthz.\n", r.home.kept, url, url)
	case r.page == nil:
		fmt.Fprintf(io.Out, "maillon is at work on %s: gateways call %sgateway/NAME/…, the API is at %sv1/, its health %shealthz.\n", r.home.kept, url, url, url)
	default:
		fmt.Fprintf(io.Out, "Open %s in a browser: phones to try maillon with.\n", url)
	}
	if r.page != nil && village != sim.Absent {
		fmt.Fprintf(io.Out, "On yann's phone write: solde\nThen: vir=50 num=%s   and send back the code that comes.\n", sim.VillageStranger().National())
	}
	r.greetGateways(io, config.Link)
	if r.scraped != nil {
		fmt.Fprintf(io.Out, "Metrics are at http://%s/metrics.\n", r.scraped.Addr())
	}
	r.greetAdministrators(io)
	fmt.Fprintf(io.Out, "Everything is kept in %s. Ctrl-C ends it.\n", r.home.kept)
	if r.page == nil && r.gateways.virtual != nil {
		fmt.Fprintln(io.Err, "maillon: the page of phones is not served on an address that others can reach")
	}
	if config.Given && village != sim.Absent {
		fmt.Fprintf(io.Err, "maillon: %s holds the members of the demonstration: begin with a new folder for real ones, with --data\n", r.home.kept)
	}
	if r.page != nil && len(r.gateways.handlers) > 0 {
		fmt.Fprintln(io.Err, "maillon: whoever can open the page of phones writes in the name of every member: remove the virtual gateway before real money")
	}
}

// greetAdministrators tells where their pages are. Passkeys want a name for the
// machine, so that this one is localhost.
func (r *running) greetAdministrators(io *Streams) {
	_, port, err := net.SplitHostPort(r.listener.Addr().String())
	if err != nil {
		return
	}
	origin := "http://" + net.JoinHostPort("localhost", port)
	if r.first == "" {
		fmt.Fprintf(io.Out, "The administrators' pages are at %s%s/\n", origin, frame.Root)
		return
	}
	fmt.Fprintf(io.Out, "To be the first administrator, open this link, which is good once, for %d hours:\n  %s\n",
		auth.InvitationLife/time.Hour, door.Link(origin, r.first))
}

// run serves until ctx ends: then nothing more is ready, HTTP stops, then the
// messages, then the books. It calls begun once what comes in is taken.
func (r *running) run(ctx context.Context, begun func()) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	web := &http.Server{
		Handler: r.routes(), ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return serving },
		ErrorLog:    slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	failed := make(chan error, 3)
	var all sync.WaitGroup
	if len(r.plans) > 0 {
		k := &copies.Keeper{DB: r.server.DB, Secret: r.home.secret, Plans: r.plans, First: firstCopy}
		if !r.home.shared {
			k.Spool = r.folder.dir() // where there is room for the books
		}
		d := r.server.Duty("copies")
		all.Go(func() { k.Run(working, d) })
	}
	all.Go(func() {
		if err := r.server.Run(working); err != nil {
			failed <- err
		}
	})
	all.Go(func() {
		if r.home.shared { // the server looks for itself
			return
		}
		if err := r.folder.Listen(working, r.server.DB.Wake); err != nil {
			slog.WarnContext(ctx, "changes by other commands are noticed late", "error", err)
		}
	})
	if r.page != nil {
		all.Go(func() { r.village.Run(working, r.page) })
	}
	r.await(ctx)
	all.Go(func() {
		if err := web.Serve(r.listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve: %w", err)
		}
	})
	begun()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	r.readiness.stopping.Store(true)
	if err == nil && r.drain > 0 {
		select {
		case <-time.After(r.drain):
		case err = <-failed:
		}
	}
	stopServing() // streams end
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if e := web.Shutdown(closing); e != nil {
		err = errors.Join(err, web.Close())
	}
	stopWorking()
	all.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// await returns when the phones take what is written on them; the other side of
// other gateways may be away, and is not waited for.
func (r *running) await(ctx context.Context) {
	for waited := time.Duration(0); waited < readyTime && ctx.Err() == nil; waited += readyStep {
		if r.gateways.virtual == nil || r.gateways.virtual.Health().Up {
			return
		}
		time.Sleep(readyStep)
	}
}

func (r *running) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", alive)
	mux.HandleFunc("GET /readyz", r.ready)
	mux.HandleFunc("GET /healthz", r.health)
	mux.Handle("/v1/", rest.New(rest.Parts{DB: r.server.DB, Desk: r.server.Desk, Merchants: r.server.Merchants, Stalls: r.server.Stalls, Posters: r.server.Posters, Webhooks: r.server.Webhooks}))
	mux.Handle(reference.Root, r.reference)
	mux.Handle(reference.Root+"/", r.reference)
	mux.HandleFunc("/gateway/{name}/{leaf}", func(w http.ResponseWriter, req *http.Request) {
		h, ok := r.gateways.handlers[req.PathValue("name")]
		if !ok {
			http.NotFound(w, req)
			return
		}
		h.ServeHTTP(w, req)
	})
	mux.Handle("/gateway/", http.NotFoundHandler())
	mux.Handle(stallpage.Root, r.stall)
	mux.Handle(counter.Root, r.cards)
	mux.Handle(checkout.Root, r.checkout)
	mux.Handle(frame.Root, r.console)
	mux.Handle(frame.Root+"/", r.console)
	if r.page != nil {
		mux.Handle("/", direct(r.page))
	}
	return mux
}

// direct serves only who asks this machine itself: a proxy would carry the page
// of phones to everybody.
func direct(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for _, header := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
			if _, passed := req.Header[header]; passed {
				http.Error(w, "the page of phones is not served through a proxy", http.StatusForbidden)
				return
			}
		}
		page.ServeHTTP(w, req)
	})
}

// bound lets at most n connections in at once; the others wait.
func bound(l net.Listener, n int) net.Listener { return &boundListener{l, make(chan struct{}, n)} }

type boundListener struct {
	net.Listener
	open chan struct{} // holds one for each connection
}

// Accept implements net.Listener.
func (l *boundListener) Accept() (net.Conn, error) {
	l.open <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &boundConn{Conn: c, leave: sync.OnceFunc(func() { <-l.open })}, nil
}

type boundConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *boundConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
