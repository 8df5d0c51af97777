package rest

import (
	"context"
	"errors"
	"net/http"

	"maillon/internal/merchant"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
)

// readMerchant says whose key it is.
func readMerchant(_ context.Context, c *call) (answer, error) { return ok(object.OfMerchant(c.m)) }

// found replaces what the rooms below say of something that is not there.
func found(err error, none *problem) error {
	if errors.Is(err, store.ErrNotFound) {
		return none
	}
	return err
}

// pathID reads the ID of a path.
func pathID(c *call, prefix object.Prefix, none *problem) (int64, error) {
	n, is := prefix.Number(c.r.PathValue("id"))
	if !is {
		return 0, none
	}
	return n, nil
}

func idFilter(prefix object.Prefix, id *int64) func(string) bool {
	return func(v string) (is bool) {
		*id, is = prefix.Number(v)
		return is
	}
}

func stateFilter(states *[]trade.State, all ...trade.State) func(string) bool {
	return func(v string) bool {
		*states = []trade.State{trade.State(v)}
		for _, s := range all {
			if string(s) == v {
				return true
			}
		}
		return false
	}
}

// readPage reads what is asked of a list of a merchant's objects. It asks for one
// more than fits, which says whether there is more.
func readPage(c *call, prefix object.Prefix, p *merchant.Page, more filters) (limit int, err error) {
	l, err := readList(c.r, string(prefix), more)
	p.After, p.Limit = l.after, l.limit+1
	return l.limit, err
}

// shown makes a page of objects.
func shown[T, V any](rows []T, limit int, show func(T) (V, error), id func(V) string) (answer, error) {
	all := make([]V, 0, len(rows))
	for _, r := range rows {
		v, err := show(r)
		if err != nil {
			return answer{}, err
		}
		all = append(all, v)
	}
	return ok(paged(all, limit, id))
}

func ok(v any) (answer, error) { return answer{status: http.StatusOK, body: v}, nil }

func created(v any, where string) (answer, error) {
	return answer{status: http.StatusCreated, body: v, location: where}, nil
}
