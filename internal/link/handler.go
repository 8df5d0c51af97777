package link

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"maillon/internal/pki"
	"maillon/internal/sms"
	"maillon/internal/sms/premium"
	"maillon/internal/store"
)

// commitTimeout bounds one call, but for the time that it waits.
const commitTimeout = 10 * time.Second

// GatewayHeader is where a gateway that signs says which one it is.
const GatewayHeader = "X-Gateway"

// renewer is who lets in a certificate that its gateway renewed.
const renewer = "gateway:"

// A visit is one call of a gateway that is known.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request
	gateway *Gateway
	body    []byte
	peer    *x509.Certificate // nil: it signs
}

// Handler serves gateways that present a certificate, checked again for each
// call: a connection may be older than the revocation.
func (l *Link) Handler() http.Handler {
	mux := l.mux(func(r *http.Request, _ []byte) (*Gateway, *x509.Certificate, error) {
		if r.TLS == nil {
			return nil, nil, ErrStranger
		}
		name, err := l.identify(r.TLS.PeerCertificates)
		if err != nil {
			return nil, nil, err
		}
		g := l.gateways[name]
		if g == nil || g.config.Adapter != nil || !g.config.Key.IsZero() {
			return nil, nil, ErrStranger
		}
		g.present(r.TLS.PeerCertificates[0])
		return g, r.TLS.PeerCertificates[0], nil
	})
	return mux
}

// Signed serves gateways that sign their calls: those of our own protocol, and
// under /gateway/NAME/in those that an adapter reads.
func (l *Link) Signed() http.Handler {
	mux := l.mux(func(r *http.Request, body []byte) (*Gateway, *x509.Certificate, error) {
		g := l.gateways[r.Header.Get(GatewayHeader)]
		if g == nil || g.config.Adapter != nil || g.config.Key.IsZero() {
			return nil, nil, premium.ErrSignature
		}
		return g, nil, premium.CheckSignature(r.Header, g.config.Key, body, time.Now())
	})
	mux.HandleFunc("/gateway/{name}/in", func(w http.ResponseWriter, r *http.Request) {
		g := l.gateways[r.PathValue("name")]
		if g == nil || g.config.Adapter == nil || g.config.Key.IsZero() {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		g.Handler().ServeHTTP(w, r)
	})
	return mux
}

func (l *Link) mux(who func(*http.Request, []byte) (*Gateway, *x509.Certificate, error)) *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(*Link, context.Context, *visit) error{
		"GET /gw/v1/kannel":                (*Link).kannel,
		"GET /gw/v1/kannel/report":         (*Link).kannelReport,
		"POST /gw/v1/messages":             (*Link).messages,
		"POST /gw/v1/charges/{id}":         (*Link).charges,
		"GET /gw/v1/outbox":                (*Link).outbox,
		"POST /gw/v1/outbox/{id}/status":   (*Link).outboxStatus,
		"POST /gw/v1/certificate/renew":    (*Link).renew,
		"GET /gw/v1/certificate/authority": (*Link).authority,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, premium.MaxBody))
			if err != nil {
				refuse(w, r, errTooLarge)
				return
			}
			g, peer, err := who(r, body)
			if err != nil {
				refuse(w, r, err)
				return
			}
			if err := do(l, r.Context(), &visit{w, r, g, body, peer}); err != nil {
				refuse(w, r, err)
			}
		})
	}
	return mux
}

// identify returns the gateway whose certificate this is, if one of the issuers
// of now has issued it and the books allow it.
func (l *Link) identify(peers []*x509.Certificate) (name string, err error) {
	db := l.db.Load()
	if db == nil {
		return "", errClosed
	}
	t, err := l.trusted(time.Now())
	if err != nil {
		return "", err
	}
	if len(peers) == 0 || !t.issued(peers[0]) {
		return "", ErrStranger
	}
	if host, _, err := pki.GatewayOf(peers[0]); err != nil || host != t.issuer.Host() {
		return "", ErrStranger
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err = db.View(ctx, func(tx *store.Tx) error {
		name, err = check(ctx, tx, peers[0])
		return err
	})
	return name, err
}

// Handler serves what a provider calls that its adapter knows by itself.
func (g *Gateway) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.config.Adapter == nil || !strings.HasSuffix(r.URL.Path, "/in") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.Method != http.MethodPost && r.Method != http.MethodGet {
			w.Header().Set("Allow", "GET, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, premium.MaxBody))
		if err != nil {
			refuse(w, r, errTooLarge)
			return
		}
		text, err := g.read(r, body, g.config.Adapter)
		if err != nil {
			refuse(w, r, err)
			return
		}
		plain(w, text)
	})
}

func (g *Gateway) read(r *http.Request, body []byte, a premium.Adapter) (string, error) {
	c, err := a.Read(r, body)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTimeout)
	defer cancel()
	return g.take(ctx, c)
}

func (*Link) kannel(_ context.Context, v *visit) error {
	text, err := v.gateway.read(v.r, v.body, premium.Kannel{})
	if err != nil {
		return err
	}
	if sms.AlphabetOf(text) == sms.UCS2 { // Kannel does not find out for itself
		v.w.Header().Set("X-Kannel-Coding", "2")
	}
	plain(v.w, text)
	return nil
}

func (*Link) kannelReport(_ context.Context, v *visit) error {
	_, err := v.gateway.read(v.r, v.body, premium.KannelReport{})
	return err
}

func (*Link) messages(_ context.Context, v *visit) error {
	text, err := v.gateway.read(v.r, v.body, premium.Message{})
	if err != nil {
		return err
	}
	reply(v.w, struct {
		Object string `json:"object"`
		Reply  string `json:"reply,omitempty"`
	}{"message", text})
	return nil
}

func (*Link) charges(ctx context.Context, v *visit) error {
	b, err := premium.ReadBill(v.r.PathValue("id"), v.body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if _, err := v.gateway.take(ctx, premium.Call{Bill: &b}); err != nil {
		return err
	}
	reply(v.w, object{"charge"})
	return nil
}

// An object is an answer that says no more than what it is about.
type object struct {
	Object string `json:"object"`
}

func (*Link) outbox(ctx context.Context, v *visit) error {
	if !v.gateway.config.Pull {
		return errNotPull
	}
	wait, err := strconv.Atoi(v.r.URL.Query().Get("wait"))
	if err != nil {
		wait = 0
	}
	all, err := v.gateway.ask(ctx, time.Duration(max(0, min(wait, int(MaxWait/time.Second))))*time.Second)
	if err != nil {
		return err
	}
	if all == nil {
		all = []Out{}
	}
	reply(v.w, struct {
		Object string `json:"object"`
		Data   []Out  `json:"data"`
	}{"list", all})
	return nil
}

func (*Link) outboxStatus(ctx context.Context, v *visit) error {
	if !v.gateway.config.Pull {
		return errNotPull
	}
	var s struct {
		Status string `json:"status"`
	}
	if json.Unmarshal(v.body, &s) != nil {
		return premium.ErrForm
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := v.gateway.status(ctx, v.r.PathValue("id"), s.Status); err != nil {
		return err
	}
	reply(v.w, object{"outgoing_message"})
	return nil
}

// renew signs a request of a gateway that has a certificate, for the same
// gateway, whatever the request says.
func (l *Link) renew(ctx context.Context, v *visit) error {
	if v.peer == nil {
		return errNoCertificate
	}
	t, err := l.trusted(time.Now())
	if err != nil {
		return err
	}
	request, err := pki.ParseRequest(v.body)
	if err != nil {
		return err
	}
	name := v.gateway.config.Name
	identity, err := t.issuer.Renew(name, request, time.Now())
	if err != nil {
		return err
	}
	text, err := identity.EncodePEM()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	err = l.db.Load().Update(ctx, func(tx *store.Tx) error {
		_, err := Allow(ctx, tx, renewer+name, identity.Certificate)
		return err
	})
	if err != nil {
		return err
	}
	slog.InfoContext(ctx, "certificate renewed", "gateway", name, "until", identity.Certificate.NotAfter)
	v.w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = v.w.Write(text)
	return nil
}

// authority gives the root, by which the gateway checks the server.
func (l *Link) authority(_ context.Context, v *visit) error {
	root, err := l.folder.Root()
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = v.w.Write(pki.EncodeCertificates(root))
	return nil
}

var (
	errTooLarge      = errors.New("the body is too large")
	errNotPull       = errors.New("this gateway is not one that asks for what goes out")
	errNoCertificate = errors.New("only a gateway with a certificate can renew it")
)

// A problem is what an error comes to: RFC 9457.
type problem struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"`
}

// problems is the one table from errors to what a gateway reads. What is not in
// it must be called again.
var problems = []struct {
	is error
	problem
}{
	{ErrStranger, problem{Status: http.StatusForbidden, Code: "certificate_not_allowed", Title: "this certificate is not allowed: ask the operator for another"}},
	{pki.ErrNoGateway, problem{Status: http.StatusForbidden, Code: "certificate_not_allowed", Title: "this is no certificate of a gateway"}},
	{premium.ErrSignature, problem{Status: http.StatusUnauthorized, Code: "signature_invalid", Title: "the signature does not hold: look at the key, and at the clock"}},
	{premium.ErrForm, problem{Status: http.StatusBadRequest, Code: "call_invalid", Title: "something is missing in the call, or cannot be read"}},
	{pki.ErrRequest, problem{Status: http.StatusBadRequest, Code: "request_invalid", Title: "a certificate signing request with a key on P-256 is expected"}},
	{errStatus, problem{Status: http.StatusBadRequest, Code: "status_invalid", Title: errStatus.Error()}},
	{errNoCharge, problem{Status: http.StatusForbidden, Code: "charge_not_allowed", Title: errNoCharge.Error()}},
	{errNotPull, problem{Status: http.StatusForbidden, Code: "not_pull", Title: errNotPull.Error()}},
	{errNoCertificate, problem{Status: http.StatusForbidden, Code: "no_certificate", Title: errNoCertificate.Error()}},
	{errTaken, problem{Status: http.StatusConflict, Code: "not_waiting", Title: errTaken.Error()}},
	{errTooLarge, problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Title: errTooLarge.Error()}},
	{ErrTooMany, problem{Status: http.StatusTooManyRequests, Code: "too_many_certificates", Title: ErrTooMany.Error()}},
}

// refuse answers an error. Where the certificate does not count any more, the
// connection ends too.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problem{Status: http.StatusServiceUnavailable, Code: "later", Title: "it cannot be taken now: call again"}
	for _, known := range problems {
		if errors.Is(err, known.is) {
			p = known.problem
			break
		}
	}
	switch p.Status {
	case http.StatusServiceUnavailable:
		if !errors.Is(err, sms.ErrLater) {
			slog.ErrorContext(r.Context(), "call of a gateway not taken", "error", err)
		}
	case http.StatusForbidden, http.StatusUnauthorized:
		w.Header().Set("Connection", "close")
	}
	p.Type = "about:blank"
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, text) //nolint:gosec // a text for a telephone: no browser comes in here
}

func reply(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
