package link_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"maillon/internal/link"
	"maillon/internal/sms"
)

// BenchmarkCall measures a call that is checked and does nothing, on a connection
// that is open and on one of its own.
func BenchmarkCall(b *testing.B) {
	bench := newBench(b, link.Config{Name: "gw1", Body: true})
	for name, alone := range map[string]bool{"open": false, "handshake": true} {
		b.Run(name, func(b *testing.B) {
			c := bench.client(bench.issue("gw1"))
			c.Transport.(*http.Transport).DisableKeepAlives = alone
			for b.Loop() {
				bench.must(c, http.MethodGet, hello, "")
			}
		})
	}
}

// BenchmarkAnswer measures SMS that are answered in the body, many at once.
func BenchmarkAnswer(b *testing.B) {
	bench := newBench(b, link.Config{Name: "gw1", Body: true})
	bench.talk.answers = func(sms.Incoming) []string { return []string{"un"} }
	c := bench.client(bench.issue("gw1"))
	c.Transport.(*http.Transport).MaxIdleConnsPerHost = 100
	var n atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			i := n.Add(1)
			a, err := call(c, http.MethodGet, fmt.Sprintf("%s/gw/v1/kannel?from=%%2B336399%05d&to=36000&text=solde&id=%d", bench.url, i%100000, i), "")
			if err != nil || a.body != "un" {
				b.Errorf("%d %q, %v", a.status, a.body, err)
			}
		}
	})
}
