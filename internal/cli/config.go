package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"maillon/internal/courier"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/setting"
	"maillon/internal/sim"
	"maillon/internal/sms"
)

// Bounds of a configuration.
const (
	maxConfig   = 1 << 20 // octets
	maxSections = 100     // gateways or administrators
	maxUnits    = 8
	maxFaults   = 100 // told of one file
)

// A Config is what one server is told in its configuration file.
type Config struct {
	Path           string // "" if there is no file
	Given          bool   // a file was given, or stands in the data folder
	Settings       setting.Settings
	Fixed          []string        // keys of settings that stand in the file
	Languages      string          // folder of language files beside those that ship; "" if none
	Gateways       []GatewayConfig // by name
	Administrators []AdministratorConfig
	Backups        []BackupConfig
	Database       DatabaseConfig
	Link           LinkConfig
	Metrics        string        // where Prometheus may ask; "" nowhere
	HooksAnywhere  bool          // merchants' endpoints may be anywhere
	SlowQuery      time.Duration // from when on a statement is told; 0 is the default, less: never
}

// A GatewayConfig is one [gateway.NAME]. Which fields a kind needs was checked;
// paths of secrets are as they can be opened, and are read with Secret.
type GatewayConfig struct {
	Name    string
	Kind    string // "kannel", "twilio", "mail", "virtual" or one of linked
	Number  string // the line
	Default bool
	Backup  string
	Rate    courier.Rate
	Daily   int
	Window  int
	Always  bool // ask for the code whatever the setting: its senders may be forged

	PublicURL string // of this server, as the provider reaches it

	SendSMSURL, Username, PasswordFile, InPasswordFile, SMSC string // kannel

	Linked LinkedConfig // link, phone, fortumo, txtnation
	Mail   MailConfig   // mail

	AccountSID, AuthTokenFile, From, MessagingServiceSID, BaseURL string // twilio
	Catchup                                                       time.Duration
}

// Secret reads the file of a secret of the gateway.
func (g GatewayConfig) Secret(path string) (sms.Secret, error) {
	text, err := readSecretFile(path)
	if err != nil {
		return sms.Secret{}, fmt.Errorf("gateway.%s: %w", g.Name, err)
	}
	if text = strings.TrimSpace(text); text == "" {
		return sms.Secret{}, fmt.Errorf("gateway.%s: %s is empty", g.Name, path)
	}
	return sms.NewSecret(text), nil
}

// secretFiles returns the paths of all secrets of the gateway.
func (g GatewayConfig) secretFiles() []string {
	return slices.DeleteFunc([]string{g.PasswordFile, g.InPasswordFile, g.AuthTokenFile, g.Linked.KeyFile, g.Linked.SecretFile, g.Mail.DKIMKeyFile, g.Mail.KeyFile}, func(p string) bool { return p == "" })
}

// An AdministratorConfig is one [administrator.NAME]. The name is the pseudo.
type AdministratorConfig struct {
	Name     string
	Number   sms.Number
	Role     member.Role
	Ceiling  money.Amount // a day, in the first unit
	Language string       // "" is the server's
	Member   bool         // has an account too
}

// A ConfigError lists what is wrong with a configuration file, by line.
type ConfigError struct {
	Path   string
	Faults []string
}

// Error returns one line for each fault.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Faults))
	for n, f := range e.Faults {
		lines[n] = e.Path + ":" + f
	}
	return strings.Join(lines, "\n")
}

// LoadConfig reads a configuration file; "" gives the defaults. Its error ends
// the program with ExitUsage, and names every line at fault.
func LoadConfig(path string) (Config, error) {
	c := Config{Path: path, Settings: setting.Default()}
	if path == "" {
		c.Settings = sim.VillageSettings() // so that commands beside the village say what it says
		return c, nil
	}
	c.Given = true
	text, err := readConfig(path)
	if err != nil {
		return c, &ExitError{ExitUsage, fmt.Errorf("read the configuration: %w", err)}
	}
	r := configReader{config: &c, dir: filepath.Dir(path), lines: configLines(text)}
	r.read(text)
	if len(r.faults) > 0 {
		return c, &ExitError{ExitUsage, &ConfigError{path, r.sorted()}}
	}
	return c, nil
}

func readConfig(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > maxConfig || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: a configuration is a file of at most %d octets", path, maxConfig)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// LoadConfig reads the configuration that a command names, or else the one in
// the data folder if there is one.
func (f Folder) LoadConfig(path string) (Config, error) {
	c, err := f.loadConfig(path)
	if c.Link.CA == "" {
		c.Link.CA = filepath.Join(f.dir(), caFolder)
	}
	return c, err
}

func (f Folder) loadConfig(path string) (Config, error) {
	if path != "" {
		return LoadConfig(path)
	}
	_, err := os.Stat(f.Config())
	switch {
	case err == nil:
		return LoadConfig(f.Config())
	case errors.Is(err, fs.ErrNotExist):
		return LoadConfig("")
	}
	return Config{}, &ExitError{ExitTrouble, err}
}

// A configReader goes through the tables of a file and gathers what is wrong.
type configReader struct {
	config *Config
	dir    string         // what relative paths are relative to
	lines  map[string]int // of keys, by dotted name
	faults []configFault
}

type configFault struct {
	line int
	text string
}

func (r *configReader) sorted() []string {
	slices.SortStableFunc(r.faults, func(a, b configFault) int { return a.line - b.line })
	texts := make([]string, len(r.faults))
	for n, f := range r.faults {
		texts[n] = fmt.Sprintf("%d: %s", f.line, f.text)
	}
	return texts
}

// fault notes what is wrong with a key, named by its dotted path.
func (r *configReader) fault(key, format string, args ...any) {
	line, ok := r.lines[key]
	for up := key; !ok && up != ""; line, ok = r.lines[up] { // an inline table has one line
		up, _, _ = cutLast(up)
	}
	r.faultAt(max(line, 1), "%s: %s", key, fmt.Sprintf(format, args...))
}

func (r *configReader) faultAt(line int, format string, args ...any) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, configFault{line, fmt.Sprintf(format, args...)})
	}
}

func cutLast(key string) (before, after string, found bool) {
	if n := strings.LastIndexByte(key, '.'); n >= 0 {
		return key[:n], key[n+1:], true
	}
	return "", key, false
}

func (r *configReader) read(text string) {
	var tree map[string]any
	if _, err := toml.Decode(text, &tree); err != nil {
		r.syntax(err)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		switch value := tree[key].(type) {
		case string:
			r.top(key, value)
		case map[string]any:
			if key == "settings" {
				continue // before the rest: the unit says how a ceiling is read
			}
			if !slices.Contains([]string{"gateway", "link", "administrator", "database", "backup", "webhooks"}, key) {
				r.unknown(key)
			}
		case []map[string]any:
			if key != "unit" {
				r.unknown(key)
			}
		default:
			r.unknown(key)
		}
	}
	r.settings(tree)
	r.database(tree)
	r.links(tree)
	r.webhooks(tree)
	r.gateways(tree)
	r.administrators(tree)
	r.backups(tree)
}

// top reads a text that stands before all tables.
func (r *configReader) top(key, value string) {
	switch key {
	case "languages":
		r.config.Languages = r.path(value)
	case "metrics":
		if _, _, err := net.SplitHostPort(value); err != nil {
			r.fault(key, "HOST:PORT is expected, such as 127.0.0.1:9464")
		}
		r.config.Metrics = value
	case "slow_query":
		if value == "off" {
			r.config.SlowQuery = -1
			return
		}
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			r.fault(key, `a time such as 200ms or 1s, or "off" is expected`)
			return
		}
		r.config.SlowQuery = d
	default:
		r.unknown(key)
	}
}

func (r *configReader) unknown(key string) {
	r.fault(key, "unknown; at the top there are languages, metrics, slow_query, [settings], [database], [webhooks], [[unit]], [link], [gateway.NAME], [administrator.NAME] and [backup.NAME]")
}

func (r *configReader) syntax(err error) {
	if e, ok := errors.AsType[toml.ParseError](err); ok {
		hint := ""
		if strings.Contains(e.Message, "already been defined") || strings.Contains(e.Message, "already defined") {
			hint = `; a key that is also the beginning of others is quoted together with them: "unit.plural" = "graines"`
		}
		r.faultAt(max(e.Position.Line, 1), "%s%s", e.Message, hint)
		return
	}
	r.faultAt(1, "%v", err)
}

func (r *configReader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, p)
}
