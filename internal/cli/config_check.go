package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"maillon/internal/notice"
	"maillon/internal/server"
	"maillon/internal/sms"
)

// configCommand is about configuration files.
type configCommand struct {
	Check configCheck `cmd:"" help:"Check a configuration file, its languages and its secrets, without starting anything."`
}

type configCheck struct {
	File string `arg:"" help:"The file, as serve --config takes it."`
}

// Run prints everything that would keep a server from starting, or from saying
// what it should, with its line.
func (c configCheck) Run(_ context.Context, io *Streams) error {
	if _, err := os.Stat(c.File); err != nil {
		return &ExitError{ExitUsage, err}
	}
	faults := check(c.File)
	for _, f := range faults {
		fmt.Fprintln(io.Out, f)
	}
	if len(faults) > 0 {
		return exitf(ExitNo, "%s: %d faults", c.File, len(faults))
	}
	_, err := fmt.Fprintf(io.Out, "%s: good\n", c.File)
	return err
}

func check(path string) []string {
	config, err := LoadConfig(path)
	if e, ok := errors.AsType[*ConfigError](err); ok {
		return strings.Split(e.Error(), "\n")
	}
	if err != nil {
		return []string{err.Error()}
	}
	var faults []string
	add := func(err error) {
		if err != nil {
			faults = append(faults, strings.Split(err.Error(), "\n")...)
		}
	}
	for _, phone := range config.Settings.AlertPhones {
		if _, err := sms.ParseNumber(phone, config.Settings.Region()); err != nil {
			add(fmt.Errorf("%s: settings.alert.phones: %q is no telephone number", path, phone))
		}
	}
	for _, err := range config.Database.check() {
		add(err)
	}
	for _, err := range config.checkSecrets() {
		add(err)
	}
	for _, err := range config.checkLink() {
		add(err)
	}
	book, err := config.Book()
	if err != nil {
		add(err)
		return faults
	}
	set := config.Settings
	if !slices.Contains(book.Languages(), set.Language) {
		add(fmt.Errorf("%s: settings.language: there are %s", path, strings.Join(book.Languages(), ", ")))
	}
	_, err = server.Parser(book, &set)
	add(err)
	add(server.Lint(notice.New(book, &set)))
	return faults
}
