package cli

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"maillon/internal/copies"
)

// What copies are unless told otherwise.
const (
	usualEvery = 15 * time.Minute
	usualKeep  = 35 * 24 * time.Hour
	maxKept    = 400 * 24 * time.Hour
)

// A BackupConfig is one [backup.NAME]. Which fields a kind needs was checked.
type BackupConfig struct {
	Name  string
	Kind  string // "folder" or "s3"
	Every time.Duration
	Keep  time.Duration

	Path string // folder

	Endpoint, Region, Bucket, Prefix, KeyFile, SecretFile string // s3
}

func (r *configReader) backups(tree map[string]any) {
	r.named(tree, "backup", func(s *section) {
		b := BackupConfig{Name: s.name, Kind: s.text("kind"), Every: s.duration("every"), Keep: s.duration("keep")}
		if b.Every == 0 {
			b.Every = usualEvery
		}
		if b.Keep == 0 {
			b.Keep = usualKeep
		}
		if b.Every < copies.MinEvery || b.Every > copies.MaxEvery {
			s.fault(s.path+".every", "from %s to %s is expected", copies.MinEvery, copies.MaxEvery)
		}
		if b.Keep < b.Every || b.Keep > maxKept {
			s.fault(s.path+".keep", "at least as long as every, and at most %d days", maxKept/(24*time.Hour))
		}
		switch b.Kind {
		case "folder":
			b.Path = s.file("path")
			s.need(map[string]string{"path": b.Path})
		case "s3":
			b.Endpoint, b.Region, b.Bucket, b.Prefix = s.endpoint(), s.text("region"), s.text("bucket"), s.text("prefix")
			b.KeyFile, b.SecretFile = s.file("key_file"), s.file("secret_file")
			s.need(map[string]string{"endpoint": b.Endpoint, "bucket": b.Bucket, "key_file": b.KeyFile, "secret_file": b.SecretFile})
		default:
			s.fault(s.path, `kind is missing or unknown: "folder" or "s3"`)
			clear(s.left)
		}
		r.config.Backups = append(r.config.Backups, b)
	})
}

// endpoint reads where a storage is. What is sent is sealed, the key to it is
// not: in clear it goes nowhere but to this machine.
func (s *section) endpoint() string {
	text := s.url("endpoint")
	u, err := url.Parse(text)
	if text != "" && err == nil && u.Scheme == "http" && !slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname()) {
		s.fault(s.path+".endpoint", "https:// is expected")
	}
	return text
}

// depot opens where copies go.
func (b BackupConfig) depot() (copies.Depot, error) {
	if b.Kind == "folder" {
		return copies.Folder{Path: b.Path}, nil
	}
	c := copies.S3Config{Endpoint: b.Endpoint, Region: b.Region, Bucket: b.Bucket, Prefix: b.Prefix}
	for path, to := range map[string]*string{b.KeyFile: &c.Key, b.SecretFile: &c.Secret} {
		text, err := readSecretFile(path)
		if err != nil {
			return nil, fmt.Errorf("backup.%s: %w", b.Name, err)
		}
		if *to = strings.TrimSpace(text); *to == "" {
			return nil, fmt.Errorf("backup.%s: %s is empty", b.Name, path)
		}
	}
	s, err := copies.NewS3(c)
	if err != nil {
		return nil, fmt.Errorf("backup.%s: %w", b.Name, err)
	}
	return s, nil
}

// plans opens all depots.
func (c Config) plans() (all []copies.Plan, err error) {
	for _, b := range c.Backups {
		d, err := b.depot()
		if err != nil {
			return nil, &ExitError{ExitUsage, err}
		}
		all = append(all, copies.Plan{Name: b.Name, Depot: d, Every: b.Every, Keep: b.Keep})
	}
	return all, nil
}
