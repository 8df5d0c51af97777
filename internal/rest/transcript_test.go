package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"maillon/internal/auth"
	"maillon/internal/member"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/rest"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade/object"
	"maillon/internal/treasury"
	"maillon/internal/webhook"
)

var update = flag.Bool("update", false, "write what is answered into the transcripts")

// A transcript is requests and what is answered, one after the other. Each of
// both is held to api/openapi.yaml; a request that the contract forbids must be
// refused.
//
//	# A comment.
//	! pause
//
//	till POST /v1/transfers
//	Idempotency-Key: order-1
//	{"from": "acc_2", …}
//	---
//	201
//	{"id":"txn_9",…}
//
// CODE stands for the code that a client was sent last, DIGITS for what she is to
// write behind a keyword; IDs of merchants' objects
// are numbered in the order in which they are seen.
func TestTranscripts(t *testing.T) {
	all, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(all) == 0 {
		t.Fatalf("transcripts: %d, %v", len(all), err)
	}
	for _, path := range all {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c := readContract(t)
			book, err := phrase.Shipped()
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				got := playAll(t, openDesk(t, store.Memory, book, c), string(text))
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}

// A contract is api/openapi.yaml.
type contract struct {
	routers.Router
	problem *openapi3.Schema
}

func readContract(t *testing.T) contract {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatalf("api/openapi.yaml: %v", err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return contract{router, doc.Components.Schemas["Problem"].Value}
}

// A desk is an association whose API is asked. There are yann, lena and malo,
// with 100 each, and a key for all and one that may only read.
type desk struct {
	t      *testing.T
	server *server.Server
	beside func() *server.Server // opens the same books once more
	api    *rest.Handler
	contract
	tokens  map[string]auth.Token
	ids     map[string]string
	members map[string]member.ID

	merchants map[string]int64
	names     names
	code      string // the last one that a client was sent; CODE in a transcript
	digits    string // those that she is to write behind a keyword; DIGITS
}

const funds = 100

func openDesk(t *testing.T, where string, book *phrase.Book, c contract) *desk {
	t.Helper()
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	open := func() *server.Server {
		t.Helper()
		s, err := server.Open(t.Context(), server.Config{Path: where, Secret: secret, Settings: setting.Default(), Book: book})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := open()
	d := &desk{
		t: t, server: s, beside: open, api: rest.New(rest.Parts{DB: s.DB, Desk: s.Desk, Merchants: s.Merchants, Stalls: s.Stalls, Posters: s.Posters}), contract: c,
		tokens: map[string]auth.Token{}, ids: map[string]string{}, members: map[string]member.ID{}, merchants: map[string]int64{},
		names: names{map[string]string{}, map[string]string{}},
	}
	d.update(func(ctx context.Context, tx *store.Tx) error {
		for n, nick := range []string{"yann", "lena", "malo"} {
			number, err := sms.FromE164(fmt.Sprintf("+3363998001%d", n))
			if err != nil {
				return err
			}
			m, err := s.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: number, Nick: nick})
			if err != nil {
				return err
			}
			d.members[nick] = m.ID
			if _, err := s.Treasury.Grant(ctx, tx, treasury.Operator, nil, m, sms.Number{}, money.New(funds, s.Settings.Currency()), "test"); err != nil {
				return err
			}
		}
		return nil
	})
	d.issue("till", auth.Read, auth.Transfer)
	d.issue("books", auth.Read)
	d.issue("drop", auth.Transfer)
	return d
}

func (d *desk) update(do func(ctx context.Context, tx *store.Tx) error) {
	d.t.Helper()
	ctx := context.Background()
	if err := d.server.DB.Update(ctx, func(tx *store.Tx) error { return do(ctx, tx) }); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) issue(name string, scopes ...auth.Scope) {
	d.t.Helper()
	d.update(func(ctx context.Context, tx *store.Tx) error {
		k, token, err := auth.Issue(ctx, tx, treasury.Operator, name, scopes)
		d.tokens[name], d.ids[name] = token, k.ID
		return err
	})
}

// act does what a line of a transcript says that begins with an exclamation mark.
func (d *desk) act(line string) {
	d.t.Helper()
	words := strings.Fields(line)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		switch words[0] {
		case "pause":
			return d.server.Treasury.Pause(ctx, tx, treasury.Operator)
		case "resume":
			return tx.SetPaused(ctx, time.Time{})
		case "revoke":
			return tx.RevokeAPIKey(ctx, treasury.Operator, d.ids[words[1]])
		case "freeze", "lost", "unfreeze", "close":
			m, err := tx.Member(ctx, d.members[words[1]])
			if err != nil {
				return err
			}
			switch words[0] {
			case "freeze":
				return d.server.Treasury.Freeze(ctx, tx, treasury.Operator, m, "")
			case "unfreeze":
				return d.server.Treasury.Unfreeze(ctx, tx, treasury.Operator, m, "")
			case "lost":
				m.LostAt = tx.Now()
			case "close":
				m.State = member.Closed
			}
			return tx.SaveMember(ctx, m)
		case "merchant":
			return d.openMerchant(ctx, tx, words[1])
		case "emit":
			return webhook.Emit(ctx, tx, d.merchants[words[1]], words[2], map[string]string{"object": "claim", "id": words[3]})
		case "judge":
			id, _ := object.DisputeID.Number(d.names.real(words[1]))
			_, err := d.server.Merchants.Judge(ctx, tx, treasury.Operator, id, words[2] == "client", "looked into")
			return err
		case "wait":
			return nil
		}
		return errors.New("no such act: " + line)
	})
	if words[0] == "wait" {
		long, err := time.ParseDuration(words[1])
		if err != nil {
			d.t.Fatal(err)
		}
		time.Sleep(long)
	}
}

// openMerchant registers a merchant NAME, with its keys: NAME, NAME-test, NAME-page
// and NAME-test-page for its pages, and NAME-reads for events alone.
func (d *desk) openMerchant(ctx context.Context, tx *store.Tx, name string) error {
	live, test, err := d.server.Merchants.Add(ctx, tx, treasury.Operator, merchant.NewMerchant{Name: name})
	if err != nil {
		return err
	}
	d.merchants[name], d.merchants[name+"-test"] = live.ID, test.ID
	for key, m := range map[string]auth.MerchantKey{
		name: {Merchant: live.ID}, name + "-test": {Merchant: test.ID, Test: true}, name + "-page": {Merchant: live.ID, Public: true},
		name + "-test-page": {Merchant: test.ID, Test: true, Public: true},
		name + "-reads":     {Merchant: live.ID, Scopes: []auth.Scope{auth.EventsRead}},
	} {
		m.Name = key
		k, token, err := auth.IssueMerchant(ctx, tx, treasury.Operator, m)
		if err != nil {
			return err
		}
		d.tokens[key], d.ids[key] = token, k.ID
	}
	return nil
}

// playAll plays a transcript and returns it as it went.
func playAll(t *testing.T, d *desk, text string) string {
	t.Helper()
	var out strings.Builder
	for n, block := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if n > 0 {
			out.WriteString("\n\n")
		}
		asked, want, _ := strings.Cut(block, "\n---\n")
		asked = strings.TrimSuffix(asked, "\n---")
		out.WriteString(asked)
		var request []string
		for line := range strings.Lines(asked) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "! "):
				d.act(line[2:])
			default:
				request = append(request, line)
			}
		}
		if len(request) == 0 {
			continue
		}
		got := d.play(request)
		out.WriteString("\n---\n" + got)
		if got != want && !*update {
			t.Errorf("%s\nis answered\n%s\nnot\n%s", asked, got, want)
		}
	}
	return out.String() + "\n"
}

var headerLine = regexp.MustCompile(`^([A-Z][A-Za-z-]*): (.*)$`)

// shown are the headers of an answer that are written down.
var shown = []string{"Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin", "Allow", "Idempotent-Replayed", "Location", "Retry-After", "WWW-Authenticate"}

// play asks what the lines of a request say.
func (d *desk) play(lines []string) string {
	d.t.Helper()
	first := strings.SplitN(lines[0], " ", 3)
	if len(first) != 3 {
		d.t.Fatalf("no request: %q", lines[0])
	}
	header := http.Header{}
	if token, ok := d.tokens[first[0]]; ok {
		header.Set("Authorization", "Bearer "+string(token))
	}
	rest := lines[1:]
	for len(rest) > 0 {
		found := headerLine.FindStringSubmatch(rest[0])
		if found == nil {
			break
		}
		header.Set(found[1], found[2])
		rest = rest[1:]
	}
	body := strings.Join(rest, "\n")
	if body != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	answer := d.ask(first[1], d.names.real(first[2]), header, d.names.real(strings.NewReplacer("CODE", d.code, "DIGITS", d.digits).Replace(body)))
	var out strings.Builder
	fmt.Fprintf(&out, "%d\n", answer.Code)
	for _, name := range shown {
		if v := answer.Header().Get(name); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, d.names.shown(v))
		}
	}
	text := link.ReplaceAllString(drawn.ReplaceAllString(answer.Body.String(), "whsec_…"), "/stall/#…")
	if code := codeForm.FindString(text); code != "" {
		d.code, text = code, codeForm.ReplaceAllString(text, "CODE")
	}
	if found := digitsForm.FindStringSubmatch(text); found != nil {
		d.digits, text = found[2], digitsForm.ReplaceAllString(text, "${1}DIGITS")
	}
	out.WriteString(d.names.shown(text))
	return strings.TrimRight(out.String(), "\n")
}

// drawn are secrets, which no transcript can foretell.
var drawn = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`)

// link is that of a device of a stall.
var link = regexp.MustCompile(`/stall/#[A-Z2-7]+`)

// digitsForm is how a keyword looks with what proves a number, or whose name it is.
var digitsForm = regexp.MustCompile(`\b((?:LIVRE|RDV) (?:[a-z]+\.[a-z]+ )?)([0-9]{4})\b`)

// names are the IDs of merchants' objects, which transcripts number by
// themselves, in the order in which they are first seen: clm_1, clm_2.
type names struct{ toShown, toReal map[string]string }

var recordID = regexp.MustCompile(`\b(auth|chg|clm|dsp|evt|mer|otp|pay|pol|rfd|tpl|we|whd)_[1-9][0-9]*\b`)

func (n names) shown(text string) string {
	return recordID.ReplaceAllStringFunc(text, func(id string) string {
		if s, ok := n.toShown[id]; ok {
			return s
		}
		prefix, _, _ := strings.Cut(id, "_")
		for at := 1; ; at++ {
			s := fmt.Sprintf("%s_%d", prefix, at)
			if _, taken := n.toReal[s]; !taken {
				n.toShown[id], n.toReal[s] = s, id
				return s
			}
		}
	})
}

func (n names) real(text string) string {
	return recordID.ReplaceAllStringFunc(text, func(s string) string {
		if id, ok := n.toReal[s]; ok {
			return id
		}
		return s
	})
}

// codeForm is how the codes look that clients are sent; each book draws others.
var codeForm = regexp.MustCompile(`\b[B-DF-HJ-NP-TV-Z2-9]{4}-[B-DF-HJ-NP-TV-Z2-9]{4}\b`)

// ask sends a request, and holds it and the answer to the contract.
func (d *desk) ask(method, path string, header http.Header, body string) *httptest.ResponseRecorder {
	d.t.Helper()
	request := func() *http.Request {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header = header.Clone()
		return r
	}
	answer := httptest.NewRecorder()
	d.api.ServeHTTP(answer, request())
	d.hold(request(), answer)
	return answer
}

func (d *desk) hold(r *http.Request, answer *httptest.ResponseRecorder) {
	d.t.Helper()
	if r.Method == http.MethodOptions && answer.Code == http.StatusNoContent {
		return // what browsers ask before they ask
	}
	route, params, err := d.FindRoute(r)
	if err != nil || answer.Code == http.StatusMethodNotAllowed {
		if answer.Code != http.StatusNotFound && answer.Code != http.StatusMethodNotAllowed {
			d.t.Errorf("%s %s is not in the contract (%v), and answered %d", r.Method, r.URL, err, answer.Code)
		}
		d.holdProblem(answer)
		return
	}
	options := &openapi3filter.Options{
		MultiError: true, IncludeResponseStatus: true,
		AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
			if !goodKey.MatchString(in.RequestValidationInput.Request.Header.Get("Authorization")) {
				return errors.New("no key")
			}
			return nil
		},
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	refused := openapi3filter.ValidateRequest(d.t.Context(), in)
	if ok := answer.Code < 300; ok && refused != nil && !bytes.Contains(answer.Body.Bytes(), []byte(`"problem":`)) {
		d.t.Errorf("%s %s is answered %d, and the contract forbids it: %v", r.Method, r.URL, answer.Code, refused)
	}
	if answer.Code == http.StatusBadRequest && refused == nil && !beyond.Match(answer.Body.Bytes()) {
		d.t.Errorf("%s %s is answered 400, and the contract allows it: %s", r.Method, r.URL, answer.Body)
	}
	err = openapi3filter.ValidateResponse(d.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: answer.Code, Header: answer.Header(),
		Body: io.NopCloser(bytes.NewReader(answer.Body.Bytes())), Options: options,
	})
	if err != nil {
		d.t.Errorf("%s %s: the answer is not what the contract says: %v", r.Method, r.URL, err)
	}
}

// goodKey is how a key is shown.
var goodKey = regexp.MustCompile(`^Bearer (maillon|[sp]k_(live|test))_`)

// beyond are refusals that OpenAPI cannot speak of: a second value after the
// body, a parameter that does not exist or stands twice.
var beyond = regexp.MustCompile(`"code":"(malformed|parameter)"`)

// holdProblem holds an answer that is for no operation to the form of a problem.
func (d *desk) holdProblem(answer *httptest.ResponseRecorder) {
	d.t.Helper()
	var v any
	err := json.Unmarshal(answer.Body.Bytes(), &v)
	if err == nil {
		err = d.problem.VisitJSON(v)
	}
	if kind := answer.Header().Get("Content-Type"); err != nil || kind != "application/problem+json" {
		d.t.Errorf("the answer, of type %s, is no problem: %v\n%s", kind, err, answer.Body)
	}
}

// quiet keeps the log of a test out of its output and returns it.
func quiet(t *testing.T) *bytes.Buffer {
	t.Helper()
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &log
}
