package cli

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/courier"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/setting"
	"maillon/internal/sms"
)

// settings reads [settings] and [[unit]]. A key may be written with dots or
// quoted; a text for each language is a table.
func (r *configReader) settings(tree map[string]any) {
	if table, ok := r.table(tree, "settings", "settings"); ok {
		r.flatten("", table)
	}
	units, ok := tree["unit"].([]map[string]any)
	if !ok {
		return
	}
	if len(units) > maxUnits {
		r.fault("unit", "at most %d units are expected", maxUnits)
		return
	}
	r.config.Settings.Units = nil
	for n, table := range units {
		r.unit(fmt.Sprintf("unit.%d", n), table)
	}
	if len(r.config.Settings.Units) == 0 {
		r.config.Settings.Units = setting.Default().Units
	}
}

func (r *configReader) flatten(before string, table map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		name, value := before+key, table[key]
		if inner, ok := value.(map[string]any); ok {
			if name != "desk" && name != "hours" {
				r.flatten(name+".", inner)
				continue
			}
			value = perLanguage(inner)
		}
		text, ok := settingText(value)
		if !ok {
			r.fault("settings."+name, "a text, a number or a list of texts is expected")
			continue
		}
		if err := r.config.Settings.Set(name, text); errors.Is(err, setting.ErrUnknown) {
			r.fault("settings."+name, "no such setting%s", nearest(name, setting.Keys()))
		} else if err != nil {
			r.fault("settings."+name, "%s", strings.TrimPrefix(err.Error(), fmt.Sprintf("%s=%q: ", name, text)))
		}
		r.config.Fixed = append(r.config.Fixed, name)
	}
}

// perLanguage writes {fr = "au local", en = "at the desk"} as a setting.
func perLanguage(table map[string]any) any {
	var parts []string
	for _, language := range slices.Sorted(maps.Keys(table)) {
		text, ok := table[language].(string)
		if !ok {
			return nil
		}
		parts = append(parts, language+":"+text)
	}
	return strings.Join(parts, "|")
}

func settingText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case []any:
		texts := make([]string, len(v))
		for n, one := range v {
			text, ok := one.(string)
			if !ok {
				return "", false
			}
			texts[n] = text
		}
		return strings.Join(texts, ","), true
	}
	return "", false
}

// nearest proposes the one key that begins or ends like a wrong one.
func nearest(wrong string, keys []string) string {
	var like []string
	for _, k := range keys {
		if strings.HasPrefix(k, wrong) || strings.HasPrefix(wrong, k) || strings.EqualFold(k, strings.NewReplacer("_", ".", "-", ".").Replace(wrong)) {
			like = append(like, k)
		}
	}
	slices.Sort(like)
	if len(like) == 0 {
		return ""
	}
	return "; perhaps " + strings.Join(like, " or ")
}

func (r *configReader) unit(path string, table map[string]any) {
	var one setting.Settings
	for _, key := range slices.Sorted(maps.Keys(table)) {
		name := "unit." + key
		if key == "name" {
			name = "unit"
		}
		text, ok := settingText(table[key])
		if !ok || !slices.Contains([]string{"name", "plural", "symbol", "decimals"}, key) {
			r.fault(path+"."+key, "a unit has name, plural, symbol and decimals")
			continue
		}
		if err := one.Set(name, text); err != nil {
			r.fault(path+"."+key, "%s", strings.TrimPrefix(err.Error(), fmt.Sprintf("%s=%q: ", name, text)))
		}
	}
	if len(one.Units) == 0 || one.Units[0].Name == "" || one.Units[0].Symbol == "" {
		r.fault(path, "a unit needs a name and a symbol")
		return
	}
	u := one.Units[0]
	if u.Plural == "" {
		u.Plural = u.Name + "s"
	}
	r.config.Settings.Units = append(r.config.Settings.Units, u)
}

// table returns the table of a name; it notes what is there instead.
func (r *configReader) table(tree map[string]any, key, path string) (map[string]any, bool) {
	value, ok := tree[key]
	if !ok {
		return nil, false
	}
	table, ok := value.(map[string]any)
	if !ok {
		r.fault(path, "a table is expected: [%s]", path)
	}
	return table, ok
}

// named calls read for each [KIND.NAME].
func (r *configReader) named(tree map[string]any, kind string, read func(*section)) {
	all, ok := r.table(tree, kind, kind)
	if !ok {
		return
	}
	if len(all) > maxSections {
		r.fault(kind, "at most %d are expected", maxSections)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		path := kind + "." + name
		table, ok := r.table(all, name, path)
		if !ok {
			continue
		}
		s := &section{r, name, path, maps.Clone(table)}
		read(s)
		for _, key := range slices.Sorted(maps.Keys(s.left)) {
			r.fault(path+"."+key, "unknown key")
		}
	}
}

// A section is one named table, of which keys are taken until none is left.
type section struct {
	*configReader
	name string
	path string
	left map[string]any
}

func take[T any](s *section, key, what string) (value T) {
	v, ok := s.left[key]
	if !ok {
		return value
	}
	delete(s.left, key)
	if value, ok = v.(T); !ok {
		s.fault(s.path+"."+key, "%s is expected", what)
	}
	return value
}

func (s *section) text(key string) string { return take[string](s, key, `a text in quotes`) }
func (s *section) yes(key string) bool    { return take[bool](s, key, "true or false") }

func (s *section) count(key string) int {
	const most = 1_000_000
	n := take[int64](s, key, "a whole number")
	if n < 0 || n > most {
		s.fault(s.path+"."+key, "a whole number from 0 to %d is expected", most)
		return 0
	}
	return int(n)
}

func (s *section) duration(key string) time.Duration {
	text := s.text(key)
	if text == "" {
		return 0
	}
	d, err := setting.ParseDuration(text)
	if err != nil {
		s.fault(s.path+"."+key, "%v", err)
	}
	return d
}

func (s *section) url(key string) string {
	text := s.text(key)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		s.fault(s.path+"."+key, "an address such as https://maillon.example.org is expected")
	}
	return text
}

func (s *section) file(key string) string { return s.configReader.path(s.text(key)) }

// rate reads "1/s", "20/min" or "30/30min".
func (s *section) rate(key string) courier.Rate {
	text := s.text(key)
	if text == "" {
		return courier.Rate{}
	}
	count, span, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	span = strings.TrimSuffix(strings.TrimSpace(span), "in") // "min" is "m" to Go
	if span != "" && (span[0] < '0' || span[0] > '9') {
		span = "1" + span
	}
	per, e := time.ParseDuration(span)
	if err != nil || e != nil || n <= 0 || per <= 0 {
		s.fault(s.path+"."+key, "a rate such as 1/s, 20/min or 30/30min is expected")
		return courier.Rate{}
	}
	return courier.Rate{Segments: n, Per: per}
}

// need notes which of some keys have no value.
func (s *section) need(values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] == "" {
			s.fault(s.path, "%s is missing", key)
		}
	}
}

// kinds are those of gateways, for people.
const kinds = "kannel, twilio, link, phone, fortumo, txtnation, mail and virtual"

func (r *configReader) gateways(tree map[string]any) {
	r.named(tree, "gateway", func(s *section) {
		g := GatewayConfig{
			Name: s.name, Kind: s.text("kind"), Number: s.text("number"), Default: s.yes("default"), Backup: s.text("backup"),
			Rate: s.rate("rate"), Daily: s.count("daily"), Window: s.count("window"),
		}
		network := slices.Contains(linked, g.Kind) && s.assurance(g.Kind)
		g.Linked.Network = network
		g.Always = s.always(g.Kind, network)
		switch g.Kind {
		case "kannel":
			s.kannel(&g)
		case "twilio":
			s.twilio(&g)
		case "virtual":
		case "link", "phone", "fortumo", "txtnation":
			s.linked(&g)
		case mailKind:
			s.mail(&g)
		case "modem", "smpp", "spool", "mm":
			s.fault(s.path+".kind", "%q is not built yet; there are %s", g.Kind, kinds)
			clear(s.left)
		case "":
			s.fault(s.path, "kind is missing; there are %s", kinds)
			clear(s.left)
		default:
			s.fault(s.path+".kind", "unknown; there are %s", kinds)
			clear(s.left)
		}
		r.config.Gateways = append(r.config.Gateways, g)
	})
	r.checkLines()
}

// always reads confirm: whether payments by this gateway always ask for the
// code, as they do by default where a sender is only a claim.
func (s *section) always(kind string, network bool) bool {
	switch value := s.text("confirm"); value {
	case "always":
		return true
	case "server":
		return false
	case "":
		return kind != "virtual" && !network
	default:
		s.fault(s.path+".confirm", `%q: "always", or "server" for what [settings] says`, value)
		return true
	}
}

func (s *section) kannel(g *GatewayConfig) {
	g.SendSMSURL, g.Username, g.SMSC, g.PublicURL = s.url("sendsms_url"), s.text("username"), s.text("smsc"), s.url("public_url")
	g.PasswordFile, g.InPasswordFile = s.file("password_file"), s.file("in_password_file")
	s.need(map[string]string{
		"sendsms_url": g.SendSMSURL, "username": g.Username, "password_file": g.PasswordFile, "in_password_file": g.InPasswordFile,
	})
}

func (s *section) twilio(g *GatewayConfig) {
	g.AccountSID, g.From, g.MessagingServiceSID = s.text("account_sid"), s.text("from"), s.text("messaging_service_sid")
	g.AuthTokenFile, g.PublicURL, g.BaseURL, g.Catchup = s.file("auth_token_file"), s.url("public_url"), s.url("base_url"), s.duration("catchup")
	s.need(map[string]string{"account_sid": g.AccountSID, "auth_token_file": g.AuthTokenFile, "public_url": g.PublicURL})
	if (g.From == "") == (g.MessagingServiceSID == "") {
		s.fault(s.path, "either from or messaging_service_sid is needed")
	}
}

// checkLines looks at what one gateway says of another.
func (r *configReader) checkLines() {
	r.checkMail()
	var defaults []string
	for _, g := range r.config.Gateways {
		if g.Kind == "virtual" && r.config.Database.URL != "" {
			r.fault("gateway."+g.Name+".kind", "virtual telephones live in one server, and a database server is there for several: remove [database], or this gateway")
		}
		if g.Default {
			defaults = append(defaults, g.Name)
		}
		if g.Backup == "" {
			continue
		}
		if g.Backup == g.Name || !slices.ContainsFunc(r.config.Gateways, func(o GatewayConfig) bool { return o.Name == g.Backup }) {
			r.fault("gateway."+g.Name+".backup", "there is no other gateway of that name")
		}
	}
	if len(defaults) > 1 {
		r.fault("gateway."+defaults[1]+".default", "only one gateway can be the default, and gateway.%s is", defaults[0])
	}
}

func (r *configReader) administrators(tree map[string]any) {
	r.named(tree, "administrator", func(s *section) {
		a := AdministratorConfig{Name: s.name, Role: member.Role(s.text("role")), Language: s.text("language"), Member: s.yes("member")}
		if number := s.text("number"); number == "" {
			s.fault(s.path, "number is missing")
		} else if n, err := sms.ParseNumber(number, r.config.Settings.Region()); err != nil {
			s.fault(s.path+".number", "a mobile number such as 06 39 98 00 12 or +33639980012 is expected")
		} else {
			a.Number = n
		}
		if !slices.Contains(member.Roles(), a.Role) {
			s.fault(s.path+".role", "one of %s is expected", roles())
		}
		a.Ceiling = s.amount("ceiling")
		r.config.Administrators = append(r.config.Administrators, a)
	})
}

func roles() string {
	var names []string
	for _, r := range member.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// amount reads a sum in the first unit: 200, or "12,50".
func (s *section) amount(key string) money.Amount {
	c := s.config.Settings.Currency()
	value, ok := s.left[key]
	if !ok {
		return defaultCeiling(c)
	}
	delete(s.left, key)
	text, ok := settingText(value)
	a, err := parseSum(text, c)
	if !ok || err != nil {
		s.fault(s.path+"."+key, `a sum of %s such as 200 or "12,50" is expected: %v`, c.Code, err)
	}
	return a
}

// defaultCeiling is what an administrator may credit a day unless told otherwise.
func defaultCeiling(c money.Currency) money.Amount { return setting.Whole(200, c) }

// checkSecrets looks at the files of secrets, without telling what they hold.
func (c Config) checkSecrets() []error {
	var errs []error
	for _, g := range c.Gateways {
		for _, path := range g.secretFiles() {
			if _, err := g.Secret(path); err != nil {
				errs = append(errs, err)
				continue
			}
			if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
				errs = append(errs, fmt.Errorf("gateway.%s: %s can be read by others: chmod 600 it", g.Name, path))
			}
		}
	}
	for _, b := range c.Backups {
		if _, err := b.depot(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
