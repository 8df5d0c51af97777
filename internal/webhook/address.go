package webhook

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

var (
	// ErrURL means that an address of an endpoint cannot be one.
	ErrURL = errors.New("an endpoint is https://, a public host, and nothing before it or after a #")
	// ErrAddress means that an address is not for everybody to reach.
	ErrAddress = errors.New("the address is not a public one")
)

// notPublic are the addresses that are not of the public internet, or that stand
// for others which may not be: IANA's registries of special purposes.
func notPublic() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Public reports whether an address is one of the public internet. Of IPv6 that
// is what is given out, 2000::/3: the rest are neighbours, translations into
// IPv4, and what has no use yet.
func Public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		return false
	}
	for _, p := range notPublic() {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// A Reach is where endpoints may be.
type Reach int

// The reaches.
const (
	Internet Reach = iota // public addresses, over HTTPS
	Loopback              // this machine too, also over HTTP: where things are tried
	Anywhere              // whatever there is
)

// lets reports whether an address is within reach.
func (r Reach) lets(a netip.Addr) bool {
	return r == Anywhere || Public(a) || r == Loopback && a.Unmap().IsLoopback()
}

// CheckURL returns the address of an endpoint as it is kept, if it is within
// reach as far as can be told without looking its name up.
func CheckURL(text string, reach Reach) (string, error) {
	u, err := url.Parse(text)
	if err != nil || len(text) > MaxURL || u.Opaque != "" || u.User != nil || u.Fragment != "" || u.Hostname() == "" {
		return "", ErrURL
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	a, err := netip.ParseAddr(host)
	here := host == "localhost" || err == nil && a.Unmap().IsLoopback()
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || reach == Internet || reach == Loopback && !here):
		return "", ErrURL
	case reach == Anywhere, reach == Loopback && here:
	case err == nil && !Public(a), err != nil && !named(host):
		return "", ErrAddress
	}
	if text = u.String(); len(text) > MaxURL { // for some letters take three
		return "", ErrURL
	}
	return text, nil
}

// named reports whether a host may be a name of the internet: neither that of a
// neighbour nor an address as some read it, 127.1 or 0x7f.1.
func named(host string) bool {
	if !strings.Contains(host, ".") || numeric(host) {
		return false
	}
	for _, local := range []string{".localhost", ".local", ".internal", ".home.arpa", ".lan"} {
		if strings.HasSuffix(host, local) {
			return false
		}
	}
	return true
}

// Look looks the host of an endpoint up, and returns ErrAddress if it has an
// address out of reach. That it has none yet is no fault; each call looks again.
func (o Options) Look(ctx context.Context, text string, test bool) error {
	u, err := url.Parse(text)
	if err != nil || o.Lookup == nil {
		return nil //nolint:nilerr // CheckURL says what is wrong with it
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	all, _ := o.Lookup(ctx, u.Hostname()) // it may have an address tomorrow
	for _, a := range all {
		if !o.reach(test).lets(a) {
			return ErrAddress
		}
	}
	return nil
}

// numeric reports whether the last word of a host is a number: no name of the
// internet ends so, but old spellings of addresses do.
func numeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && (strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x"))
}
