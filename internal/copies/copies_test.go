package copies_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"maillon/internal/copies"
	"maillon/internal/duty"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
)

var maillon = money.Currency{Code: "MAILLON"}

// gateway is the server of S3 that the tests run: it keeps objects as files.
const gateway = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// depots runs one suite on every kind of depot.
func depots(t *testing.T, test func(t *testing.T, d copies.Depot, cut func())) {
	t.Run("folder", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "disk")
		test(t, copies.Folder{Path: path}, func() {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil { // where a folder should be
				t.Fatal(err)
			}
		})
	})
	t.Run("s3", func(t *testing.T) {
		config, stop := bucket(t)
		s, err := copies.NewS3(config)
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, stop)
	})
}

// bucket starts a server of S3 with an empty bucket.
func bucket(t *testing.T) (copies.S3Config, func()) {
	t.Helper()
	if os.Getenv("MAILLON_REAL") != "1" {
		t.Skip("set MAILLON_REAL=1 to run a server of S3")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	cmd := exec.Command("go", "run", gateway, "--port", address, "--access", "maillon", "--secret", "not-so-secret", "posix", t.TempDir())
	cmd.Dir = t.TempDir() // outside of any module
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	c := copies.S3Config{Endpoint: "http://" + address, Region: "us-east-1", Bucket: "books", Prefix: "penn", Key: "maillon", Secret: "not-so-secret"}
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(c.Key, c.Secret, ""), Region: c.Region})
	if err != nil {
		t.Fatal(err)
	}
	for range 600 { // building it the first time takes minutes
		if err = client.MakeBucket(t.Context(), c.Bucket, minio.MakeBucketOptions{Region: c.Region}); err == nil {
			return c, stop
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("the server of S3 does not start: %v", err)
	return c, stop
}

func open(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "books.db"), store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// credit gives a member money, so that something happens.
func credit(t *testing.T, db *store.DB, key string, sum int64) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		from, err := tx.SystemAccount(t.Context(), store.Emission, maillon)
		if err != nil {
			return err
		}
		to, err := tx.AccountOf(t.Context(), member.ID(1), maillon)
		if err != nil {
			return err
		}
		postings, err := ledger.Transfer(from.ID, to.ID, money.New(sum, maillon))
		if err != nil {
			return err
		}
		return ledger.Post(t.Context(), tx, &ledger.Transaction{Key: key, Kind: ledger.Credit, At: tx.Now(), Postings: postings})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// balance returns what the member has in the books at a path.
func balance(t *testing.T, path string) (sum int64) {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.AccountsOf(t.Context(), 1)
		for _, a := range all {
			sum += a.Balance.Minor()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// A copy that was kept comes back as it went, and the newest of a moment is
// found; what is older than it is kept is removed.
func TestWhatIsKeptComesBack(t *testing.T) {
	depots(t, func(t *testing.T, d copies.Depot, _ func()) {
		db := open(t)
		if _, err := d.Fetch(t.Context(), time.Now(), t.TempDir()); !errors.Is(err, copies.ErrNone) {
			t.Errorf("an empty depot gives %v", err)
		}
		var made []store.Manifest
		for n := range 3 {
			credit(t, db, fmt.Sprint("credit", n), 10)
			m, err := db.Backup(t.Context(), t.TempDir())
			if err == nil {
				err = d.Keep(t.Context(), m)
			}
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, m)
			time.Sleep(2 * time.Millisecond)
		}
		for n, m := range made {
			back, err := d.Fetch(t.Context(), m.Time, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(t.TempDir(), "again.db")
			if _, err := store.Restore(t.Context(), store.Restoration{From: back, To: to, Secret: store.Secret{1}}); err != nil {
				t.Fatal(err)
			}
			if got := balance(t, to); got != int64(10*(n+1)) {
				t.Errorf("copy %d has %d, want %d", n, got, 10*(n+1))
			}
		}
		if err := d.Prune(t.Context(), made[2].Time); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Fetch(t.Context(), made[1].Time, t.TempDir()); !errors.Is(err, copies.ErrNone) {
			t.Errorf("what was removed gives %v", err)
		}
		if _, err := d.Fetch(t.Context(), time.Now(), t.TempDir()); err != nil {
			t.Errorf("the last one is gone too: %v", err)
		}
	})
}

// moment returns a time that the books keep.
func moment(t *testing.T, db *store.DB, name string) (at time.Time) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		at, err = tx.Moment(t.Context(), name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// While a server is at work its copies are made and proven, and the books know
// it; when the depot is lost, they know that too.
func TestCopiesAreMadeAndProven(t *testing.T) {
	depots(t, func(t *testing.T, d copies.Depot, cut func()) {
		db := open(t)
		credit(t, db, "first", 10)
		k := &copies.Keeper{DB: db, Secret: store.Secret{1}, Spool: t.TempDir(), First: time.Millisecond, Plans: []copies.Plan{
			{Name: "test", Depot: d, Every: 20 * time.Millisecond, Keep: time.Hour},
		}}
		roster := duty.New(db, false)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			k.Run(ctx, roster.Duty("copies", nil))
			close(ended)
		}()
		defer func() { stop(); <-ended }()
		eventually(t, "a copy is proven", func() bool {
			return !moment(t, db, copies.ProvenAt).IsZero() && !moment(t, db, store.BackedUpAt).IsZero()
		})
		credit(t, db, "second", 5)
		eventually(t, "the second credit is in a copy", func() bool {
			back, err := d.Fetch(t.Context(), time.Now(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(t.TempDir(), "again.db")
			if _, err := store.Restore(t.Context(), store.Restoration{From: back, To: to, Secret: store.Secret{1}}); err != nil {
				t.Fatal(err)
			}
			return balance(t, to) == 15
		})
		cut()
		credit(t, db, "third", 1)
		eventually(t, "the books know that a copy failed", func() bool { return !moment(t, db, copies.FailedAt+":test").IsZero() })
	})
}

// Each depot is proven by itself: that one is sound says nothing of another.
func TestEachDepotIsProven(t *testing.T) {
	db := open(t)
	credit(t, db, "first", 10)
	k := &copies.Keeper{DB: db, Secret: store.Secret{1}, Spool: t.TempDir(), First: time.Millisecond}
	for _, name := range []string{"disk", "other"} {
		k.Plans = append(k.Plans, copies.Plan{Name: name, Depot: copies.Folder{Path: filepath.Join(t.TempDir(), name)}, Every: time.Hour, Keep: 2 * time.Hour})
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		k.Run(ctx, duty.New(db, false).Duty("copies", nil))
		close(ended)
	}()
	defer func() { stop(); <-ended }()
	for _, p := range k.Plans {
		eventually(t, p.Name+" is proven", func() bool { return !moment(t, db, copies.ProvenAt+":"+p.Name).IsZero() })
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 300 {
		if holds() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("waited in vain until %s", what)
}
