package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maillon/internal/cli"
	"maillon/internal/courier"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/sms/virtual"
)

// soon is how long a server may take to notice what a command did.
const soon = 5 * time.Second

// A server at work on a folder, and a terminal beside it.
type village struct {
	t      *testing.T
	folder string
	phones *virtual.Gateway
}

func openVillage(t *testing.T) *village {
	v := &village{t: t, folder: filepath.Join(t.TempDir(), "data"), phones: virtual.New("virtual")}
	v.run("member", "add", "--number", yann.E164(), "--nick", "yann")
	v.run("member", "add", "--number", lena.E164(), "--nick", "lena")
	folder := cli.Folder{Dir: v.folder}
	secret, err := folder.Secret(false)
	if err != nil {
		t.Fatal(err)
	}
	config := cli.Config{}
	book, err := config.Book()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	set.Confirm = setting.Off
	s, err := server.Open(t.Context(), server.Config{
		Path: folder.Books(), Secret: secret, Settings: set, Book: book,
		Lines: []courier.Line{{Name: "virtual", Gateway: v.phones, Number: "0639980100", Default: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- folder.Listen(ctx, s.DB.Wake) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// run runs a command on the folder and returns what it printed.
func (v *village) run(args ...string) string {
	v.t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--data", v.folder)
	if status := cli.Run(context.WithoutCancel(v.t.Context()), args, &cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); status != cli.ExitDone {
		v.t.Fatalf("maillon %s: status %d: %s", strings.Join(args, " "), status, errs.String())
	}
	return out.String()
}

// reads waits until a phone has an SMS with some text.
func (v *village) reads(phone sms.Number, text string) {
	v.t.Helper()
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, b := range v.phones.Thread(phone) {
			if strings.Contains(b.Text, text) {
				return
			}
		}
	}
	v.t.Fatalf("no SMS with %q came", text)
}

func (v *village) texts(phone sms.Number, text string) {
	v.t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) { // the gateway may not be up yet
		err := v.phones.Text(v.t.Context(), phone, text, time.Now())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatal(err)
		}
	}
}

var yann, lena = number("+33639980012"), number("+33639980013")

func number(text string) sms.Number {
	n, err := sms.FromE164(text)
	if err != nil {
		panic(err)
	}
	return n
}

func TestAServerNoticesWhatACommandDoesBesideIt(t *testing.T) {
	v := openVillage(t)
	v.run("credit", "yann", "10", "atelier")
	v.reads(yann, "10 m") // the SMS leaves at once

	// The server has yann's account in its memory now.
	v.texts(yann, "vir 6 @lena")
	v.reads(yann, "Nouveau solde 4 m")

	// What is credited beside it can be spent.
	v.run("credit", "yann", "30", "atelier")
	v.texts(yann, "vir 32 @lena")
	v.reads(yann, "Nouveau solde 2 m")
	v.reads(lena, "Nouveau solde 38 m")

	// And what is stopped is stopped.
	v.run("pause")
	v.texts(lena, "vir 1 @yann")
	v.reads(lena, "pause")

	if out := v.run("verify"); !strings.Contains(out, "proven") {
		t.Errorf("verify beside the server says %q", out)
	}
	v.run("backup", filepath.Join(t.TempDir(), "copies"))
}

func TestTheConfigurationNamesAdministrators(t *testing.T) {
	dir := t.TempDir()
	v := &village{t: t, folder: filepath.Join(dir, "data")}
	v.run("member", "add", "--number", yann.E164(), "--nick", "yann")
	s, err := openBooks(t.Context(), cli.Folder{Dir: v.folder})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, ceiling := range []string{"100", "60", "60"} { // a second start changes nothing, a changed file does
		config := write(t, filepath.Join(dir, "c.toml"), `
[administrator.Annaig]
number = "0639980014"
role = "admin"
ceiling = `+ceiling+`
[administrator.someone]
number = "`+yann.E164()+`"
role = "cashier"
`)
		if err := config.Register(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.run("member", "show", "annaig"); !strings.Contains(got, "60 MAILLON") || !strings.Contains(got, "staff") {
		t.Errorf("annaig is shown as\n%s", got)
	}
	if got := v.run("member", "list"); strings.Count(got, "\n") != 3 || !strings.Contains(got, "cashier") {
		t.Errorf("the members are\n%s", got)
	}
}

func write(t *testing.T, path, text string) cli.Config {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := cli.LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
