package copies

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"maillon/internal/store"
)

// maxCopies bounds the copies that a bucket is asked about.
const maxCopies = 100_000

// An S3 keeps copies in a bucket of a storage that speaks S3.
type S3 struct {
	client *minio.Client
	bucket string
	prefix string // of all names, with a slash at its end; "" for none
}

// An S3Config says where a bucket is, and with which key it opens.
type S3Config struct {
	Endpoint string // https://host, or http:// on this machine
	Region   string
	Bucket   string
	Prefix   string
	Key      string
	Secret   string
}

// NewS3 returns a depot in a bucket, which must exist. It does not ask for it
// yet.
func NewS3(c S3Config) (*S3, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("endpoint: https://HOST is expected")
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(c.Key, c.Secret, ""), Secure: u.Scheme == "https", Region: c.Region, BucketLookup: minio.BucketLookupAuto,
	})
	if err != nil {
		return nil, err
	}
	s := &S3{client: client, bucket: c.Bucket, prefix: strings.Trim(c.Prefix, "/")}
	if s.prefix != "" {
		s.prefix += "/"
	}
	return s, nil
}

// Keep implements Depot. The manifest comes last: a copy without one is none.
func (s *S3) Keep(ctx context.Context, m store.Manifest) error {
	if err := s.put(ctx, filepath.Join(filepath.Dir(m.Path), store.BackupKeys), store.BackupKeys); err != nil {
		return err
	}
	for _, name := range store.BackupFiles() {
		if err := s.put(ctx, filepath.Join(m.Path, name), path.Join(filepath.Base(m.Path), name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *S3) put(ctx context.Context, from, to string) error {
	_, err := s.client.FPutObject(ctx, s.bucket, s.prefix+to, from, minio.PutObjectOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return fmt.Errorf("send %s: %w", to, err)
	}
	return nil
}

// Fetch implements Depot.
func (s *S3) Fetch(ctx context.Context, at time.Time, dir string) (string, error) {
	all, err := s.names(ctx)
	if err != nil {
		return "", err
	}
	name, err := newest(all, at)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
		return "", err
	}
	files := []string{store.BackupKeys}
	for _, f := range store.BackupFiles() {
		files = append(files, path.Join(name, f))
	}
	for _, f := range files {
		if err := s.client.FGetObject(ctx, s.bucket, s.prefix+f, filepath.Join(dir, filepath.FromSlash(f)), minio.GetObjectOptions{}); err != nil {
			return "", fmt.Errorf("bring %s: %w", f, err)
		}
	}
	return filepath.Join(dir, name), nil
}

// names returns the copies that are whole.
func (s *S3) names(ctx context.Context) (all []string, err error) {
	manifest := store.BackupFiles()[len(store.BackupFiles())-1]
	err = s.each(ctx, func(name string) error {
		if folder, file := path.Split(name); file == manifest {
			all = append(all, strings.TrimSuffix(folder, "/"))
		}
		return nil
	})
	return all, err
}

// each calls do for the name of each object there is.
func (s *S3) each(ctx context.Context, do func(name string) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n := 0
	for o := range s.client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true}) {
		if o.Err != nil {
			return fmt.Errorf("list the bucket: %w", o.Err)
		}
		if n++; n > maxCopies*len(store.BackupFiles()) {
			return fmt.Errorf("more than %d copies in the bucket", maxCopies)
		}
		if err := do(strings.TrimPrefix(o.Key, s.prefix)); err != nil {
			return err
		}
	}
	return nil
}

// Prune implements Depot. The manifest goes first: what is left is no copy.
func (s *S3) Prune(ctx context.Context, before time.Time) error {
	var old []string
	err := s.each(ctx, func(name string) error {
		if t, err := store.BackupTime(path.Dir(name)); err == nil && t.Before(before) {
			old = append(old, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, last := range []bool{false, true} {
		for _, name := range old {
			if strings.HasSuffix(name, store.BackupFiles()[0]) != last {
				continue
			}
			if err := s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}); err != nil {
				return fmt.Errorf("remove %s: %w", name, err)
			}
		}
	}
	return nil
}
