package sms

import (
	"context"
	"sync"
)

// A Door is the Inbox of a gateway that is called from outside, as by a
// provider's webhooks: open while the gateway runs, shut before and after. Whoever
// has opened it shuts it; what comes when all have, or nobody has opened it yet,
// is answered ErrLater. The zero Door is shut.
type Door struct {
	mu     sync.Mutex // held to read or change inbox and opened, and while inside grows
	inbox  Inbox
	opened int
	inside sync.WaitGroup
}

// Open lets calls through to in.
func (d *Door) Open(in Inbox) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inbox = in
	d.opened++
}

// Shut undoes one Open. The last lets nobody in any more and returns once those
// inside have left.
func (d *Door) Shut() {
	d.mu.Lock()
	d.opened--
	last := d.opened == 0
	if last {
		d.inbox = nil
	}
	d.mu.Unlock()
	if last {
		d.inside.Wait()
	}
}

// Attend holds the door open until ctx ends.
func (d *Door) Attend(ctx context.Context, in Inbox) {
	d.Open(in)
	defer d.Shut()
	<-ctx.Done()
}

func (d *Door) enter() (in Inbox, leave func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inbox == nil {
		return nil, nil, ErrLater
	}
	d.inside.Add(1)
	return d.inbox, d.inside.Done, nil
}

// IsOpen reports whether calls are let through.
func (d *Door) IsOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inbox != nil
}

// Receive passes m to the inbox behind the door.
func (d *Door) Receive(ctx context.Context, m Incoming) error {
	in, leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return in.Receive(ctx, m)
}

// Report passes r to the inbox behind the door.
func (d *Door) Report(ctx context.Context, r Report) error {
	in, leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	return in.Report(ctx, r)
}

// Bill passes b to the inbox behind the door; one that takes no bills is
// answered ErrLater, like a shut door.
func (d *Door) Bill(ctx context.Context, b Bill) error {
	in, leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	biller, ok := in.(Biller)
	if !ok {
		return ErrLater
	}
	return biller.Bill(ctx, b)
}
