package server

import (
	"context"
	"errors"
	"maps"
	"slices"

	"maillon/internal/notice"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// chosenWord begins the names under which the books keep settings that people
// chose on a page.
const chosenWord = "setting"

// maxChosen bounds how many are kept.
const maxChosen = 100

var (
	// ErrFixed means that the configuration file says what a setting is.
	ErrFixed = errors.New("the setting stands in the configuration file")
	// ErrSpeech means that the texts would not fit SMS with a setting.
	ErrSpeech = errors.New("the texts do not fit with it")
)

// chosen are the settings that people chose on a page, over those of the file
// and the defaults.
type chosen struct {
	file   setting.Settings
	fixed  []string
	values map[string]string
}

func readChosen(ctx context.Context, db *store.DB, c Config) (chosen, error) {
	all := chosen{file: c.Settings, fixed: c.Fixed}
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		all.values, err = tx.States(ctx, chosenWord, maxChosen)
		return err
	})
	return all, err
}

// settings returns what is so with all that was chosen. What the file has come
// to say, or what is no longer a setting, is passed over.
func (c chosen) settings() setting.Settings {
	set := c.file
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if c.editable(key) {
			_ = set.Set(key, c.values[key]) // it was read when it was chosen
		}
	}
	return set
}

func (c chosen) editable(key string) bool {
	return slices.Contains(setting.Editable(), key) && !slices.Contains(c.fixed, key)
}

// Fixed reports whether the configuration file says what a setting is.
func (s *Server) Fixed(key string) bool { return slices.Contains(s.chosen.fixed, key) }

// now returns what is chosen as a transaction sees it.
func (s *Server) now(ctx context.Context, tx *store.Tx) (c chosen, err error) {
	c = s.chosen
	c.values, err = tx.States(ctx, chosenWord, maxChosen)
	return c, err
}

// Chosen returns the settings as they are chosen now: those of the server, once
// it has taken them up. The texts are those of default settings for "".
func (s *Server) Chosen(ctx context.Context, tx *store.Tx) (setting.Settings, map[string]string, error) {
	c, err := s.now(ctx, tx)
	return c.settings(), c.values, err
}

// Try returns how the server would speak if a setting were another; value ""
// goes back to the file's or the default. It changes nothing. It returns
// ErrFixed, ErrSpeech with what does not fit, or what is wrong with the value.
func (s *Server) Try(ctx context.Context, tx *store.Tx, key, value string) (*setting.Settings, *notice.Voice, error) {
	c, err := s.now(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(setting.Editable(), key) {
		return nil, nil, store.ErrNotFound
	}
	if !c.editable(key) {
		return nil, nil, ErrFixed
	}
	c.values = maps.Clone(c.values)
	delete(c.values, key)
	set := c.settings()
	if value != "" {
		if err := set.Set(key, value); err != nil {
			return nil, nil, err
		}
	}
	_, voice, err := speak(s.Book, &set)
	if err != nil {
		return nil, nil, errors.Join(ErrSpeech, err)
	}
	return &set, voice, nil
}

// Choose keeps a setting and says so in the audit, after Try. The servers at
// work on the books take it up by themselves, see Outdated.
func (s *Server) Choose(ctx context.Context, tx *store.Tx, by, key, value, reason string) error {
	was, _, err := s.Chosen(ctx, tx)
	if err != nil {
		return err
	}
	set, _, err := s.Try(ctx, tx, key, value)
	if err != nil {
		return err
	}
	if err := tx.SetState(ctx, chosenWord+":"+key, value); err != nil {
		return err
	}
	tx.Audit(store.Act{By: by, What: "setting", Subject: chosenWord + ":" + key, Reason: reason, Was: was.Text(key), Became: set.Text(key)})
	return nil
}

// Outdated returns once the settings that are chosen are others than those this
// server was opened with, or ctx ends: false then.
func (s *Server) Outdated(ctx context.Context) bool {
	changed, unsubscribe := s.DB.Subscribe(store.Setup)
	defer unsubscribe()
	for {
		var now chosen
		err := s.DB.View(ctx, func(tx *store.Tx) (err error) {
			now, err = s.now(ctx, tx)
			return err
		})
		if err == nil && !maps.Equal(now.values, s.chosen.values) {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
