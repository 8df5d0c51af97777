package cli

import (
	"fmt"
	"strings"
	"time"
)

// The bar: how wide it is, and how often it is drawn again.
const (
	barWidth = 30
	barEvery = 100 * time.Millisecond
)

// A bar shows how far long work is, if somebody watches.
type bar struct {
	io    *Streams
	what  string
	drawn time.Time
}

func (io *Streams) bar(what string) *bar { return &bar{io: io, what: what} }

// tell draws how much is done.
func (b *bar) tell(done, total int64) {
	if !b.io.Terminal || total <= 0 || time.Since(b.drawn) < barEvery {
		return
	}
	b.drawn = time.Now()
	done = min(done, total)
	full := int(done * barWidth / total)
	fmt.Fprintf(b.io.Err, "\r%s [%s%s] %3d %%", b.what, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done*100/total)
}

// end takes the bar away.
func (b *bar) end() {
	if !b.drawn.IsZero() {
		fmt.Fprint(b.io.Err, "\r\x1b[K")
	}
}
