package auth

import (
	"net/netip"
	"strings"
)

// prefixV6 is how much of an address one household has: whoever has one has
// them all.
const prefixV6 = 64

// Address returns from where a request comes, for counting: remote is its other
// end, and behind a proxy on this machine it is what the proxy says, forwarded.
func Address(remote, forwarded string) string {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return "unknown"
	}
	a := from.Addr().Unmap()
	if a.IsLoopback() {
		all := strings.Split(forwarded, ",")
		if said, err := netip.ParseAddr(strings.TrimSpace(all[len(all)-1])); err == nil {
			a = said.Unmap()
		}
	}
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(prefixV6); err == nil {
			return p.String()
		}
	}
	return a.String()
}
