package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"

	"maillon/internal/sms"
)

// How far catch-up looks back: at start over a long weekend without power, later
// over what Twilio's list may lag behind.
const (
	outage  = 3 * 24 * time.Hour
	overlap = time.Hour
)

// Bounds of the list. Find looks for something recent.
const (
	pageSize     = 500
	catchupPages = 100
	findPages    = 3
)

// skew is how far Twilio's clock and ours may differ.
const skew = time.Minute

// maxKnown bounds the SIDs that are kept in memory.
const maxKnown = pageSize * catchupPages

// errMore means that the list is longer than we read.
var errMore = errors.New("the list has too many pages")

// A message is an entry of the list.
type message struct {
	SID         string `json:"sid"`
	From        string `json:"from"`
	To          string `json:"to"`
	Body        string `json:"body"`
	Direction   string `json:"direction"`
	NumMedia    string `json:"num_media"`
	DateCreated string `json:"date_created"`
}

// at returns when Twilio got m; zero if that cannot be read.
func (m message) at() time.Time {
	t, err := time.Parse(time.RFC1123Z, m.DateCreated)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// catchUp receives what came in since and is not known, the oldest first. After
// errMore it has received the newest.
func (g *Gateway) catchUp(ctx context.Context, since time.Time) error {
	query := url.Values{"DateSent>": {since.UTC().Format(time.DateOnly)}}
	if g.config.From != "" {
		query.Set("To", g.config.From)
	}
	var missed []message
	err := g.list(ctx, query, catchupPages, since, func(m message) bool {
		if m.Direction == "inbound" && m.SID != "" && !g.known.has(m.SID) {
			missed = append(missed, m)
		}
		return true
	})
	if err != nil && !errors.Is(err, errMore) {
		return fmt.Errorf("list what came in: %w", err)
	}
	for _, m := range slices.Backward(missed) {
		if err := g.receive(ctx, m.incoming(g.config.Name)); err != nil {
			return fmt.Errorf("catch up: %w", err)
		}
	}
	return err
}

// incoming has an instant, unlike what a webhook brings: it may be hours old.
func (m message) incoming(gateway string) sms.Incoming {
	return sms.Incoming{
		Gateway: gateway,
		Key:     m.SID,
		From:    valid(m.From),
		To:      valid(m.To),
		Text:    valid(m.Body),
		Media:   hasMedia(m.NumMedia),
		SentAt:  m.at(),
	}
}

// Find looks whether m, handed to Send after since with an unknown outcome, has
// reached Twilio, and under which SID.
func (g *Gateway) Find(ctx context.Context, m sms.Outgoing, since time.Time) (providerID string, found bool, err error) {
	query := url.Values{"To": {m.To.E164()}}
	text := norm.NFC.String(m.Text)
	err = g.list(ctx, query, findPages, since.Add(-skew), func(got message) bool {
		if strings.HasPrefix(got.Direction, "outbound") && norm.NFC.String(got.Body) == text {
			providerID, found = got.SID, true
		}
		return !found
	})
	if err != nil {
		return "", false, fmt.Errorf("find a message at twilio: %w", err)
	}
	return providerID, found, nil
}

// list calls each with the messages that query selects, the newest first, until
// it returns false or they are older than since; errMore if pages do not
// suffice.
func (g *Gateway) list(ctx context.Context, query url.Values, pages int, since time.Time, each func(message) bool) error {
	query.Set("PageSize", strconv.Itoa(pageSize))
	at := *g.messages
	at.RawQuery = query.Encode()
	for range pages {
		page, err := g.page(ctx, &at)
		if err != nil {
			return err
		}
		for _, m := range page.Messages {
			created := m.at()
			if !created.IsZero() && created.Before(since) || !each(m) {
				return nil
			}
		}
		if page.Next == "" {
			return nil
		}
		next, err := at.Parse(page.Next)
		if err != nil || next.Scheme != at.Scheme || next.Host != at.Host {
			return errors.New("the next page is elsewhere")
		}
		at = *next
	}
	return errMore
}

type page struct {
	Messages []message `json:"messages"`
	Next     string    `json:"next_page_uri"`
}

func (g *Gateway) page(ctx context.Context, at *url.URL) (page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return page{}, errors.New("make the request")
	}
	status, body, err := g.do(req)
	if err != nil {
		return page{}, err
	}
	if status != http.StatusOK {
		return page{}, fmt.Errorf("status %d", status)
	}
	var p page
	if err := json.Unmarshal(body, &p); err != nil {
		return page{}, errors.New("page is not JSON")
	}
	return p, nil
}

// known are the SIDs committed of late, so that catch-up does not deliver them
// again and count them as repeated. It may forget: the inbox does not.
type known struct {
	mu   sync.Mutex // held to read or change what follows
	sids map[string]bool
	ring []string
	next int
}

func (k *known) has(sid string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sids[sid]
}

func (k *known) add(sid string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sids[sid] {
		return
	}
	if k.sids == nil {
		k.sids = make(map[string]bool)
	}
	if len(k.ring) < maxKnown {
		k.ring = append(k.ring, sid)
	} else {
		delete(k.sids, k.ring[k.next])
		k.ring[k.next] = sid
		k.next = (k.next + 1) % maxKnown
	}
	k.sids[sid] = true
}
