package pki

import (
	"crypto/x509"
	"fmt"
	"net/netip"
)

// maxNames bounds the names of one server.
const maxNames = 20

// addNames lets a server's certificate be for some hosts and addresses.
func addNames(c *x509.Certificate, names []string) error {
	if len(names) == 0 || len(names) > maxNames {
		return fmt.Errorf("%w: a server has 1 to %d names", ErrName, maxNames)
	}
	for _, n := range names {
		if ip, err := netip.ParseAddr(n); err == nil {
			c.IPAddresses = append(c.IPAddresses, ip.AsSlice())
			continue
		}
		if err := checkHost(n); err != nil {
			return err
		}
		c.DNSNames = append(c.DNSNames, n)
	}
	return nil
}
