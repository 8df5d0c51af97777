package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // letters in other alphabets than UTF-8

	"maillon/internal/sms"
)

// Bounds of what is read of a letter.
const (
	maxHeader     = 64 << 10 // octets
	maxFields     = 2000     // lines of its header
	maxParts      = 50
	maxDepth      = 8
	maxText       = 64 << 10 // octets of its text before it is cut
	maxKept       = 4 << 10  // octets of its text after it is cut
	maxSubject    = 200      // octets of a subject that is answered
	maxID         = 250      // octets of a Message-ID
	maxReferences = 10
)

// A letter is one e-mail as far as it is read.
type letter struct {
	from    sms.Address
	date    time.Time
	heading sms.Heading
	text    string
	key     string // the same for each delivery of this letter
	robot   string // why no person wrote it; "" if one may have
}

// single are the fields of which a second one could hide the first from one of
// two readers.
var single = []string{
	"from", "sender", "reply-to", "to", "subject", "date", "message-id", "in-reply-to", "references",
	"mime-version", "content-type", "content-transfer-encoding", "auto-submitted",
}

// messageID is what a Message-ID may look like (RFC 5322, 3.6.4, without quotes).
var messageID = regexp.MustCompile(`<[A-Za-z0-9!#$%&'*+/=?^_{|}~.@:-]+>`)

// read reads a letter, or says with which answer it is refused.
func read(raw []byte) (l letter, err error) {
	fields, body, err := cutFields(raw)
	if err != nil {
		return l, err
	}
	for _, name := range single {
		if len(fields[name]) > 1 {
			return l, errSender
		}
	}
	one := func(name string) string { return strings.Join(fields[name], "") }
	senders, err := netmail.ParseAddressList(one("from"))
	if err != nil || len(senders) != 1 {
		return l, errSender
	}
	if l.from, err = sms.ParseAddress(senders[0].Address); err != nil {
		return l, errSender
	}
	if l.date, err = netmail.ParseDate(one("date")); err != nil {
		return l, errSender
	}
	l.heading.ID = messageID.FindString(one("message-id"))
	if l.heading.ID == "" || l.heading.ID != strings.TrimSpace(one("message-id")) || len(l.heading.ID) > maxID {
		return l, errSender
	}
	l.robot = robot(fields)
	l.key = hash(l.from.Text(), l.heading.ID, string(canonical(body)))
	for _, id := range messageID.FindAllString(one("references"), -1) {
		if len(id) <= maxID {
			l.heading.References = append(l.heading.References, id)
		}
	}
	l.heading.References = l.heading.References[max(0, len(l.heading.References)-maxReferences):]
	subject, text := texts(raw)
	l.heading.Subject = clip(subject, maxSubject)
	if answer(subject) || one("in-reply-to") != "" || one("references") != "" {
		subject = "" // it is of what was answered
	}
	l.text = said(subject, text)
	return l, nil
}

// cutFields cuts a header into its fields, by name in small letters, and strictly:
// what two readers could read in two ways is refused.
func cutFields(raw []byte) (fields map[string][]string, body []byte, err error) {
	header, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		header, body = bytes.TrimSuffix(raw, []byte("\r\n")), nil
	}
	if len(header) > maxHeader {
		return nil, nil, errShape
	}
	fields, n, last := map[string][]string{}, 0, ""
	for line := range strings.SplitSeq(string(header), "\r\n") {
		if n++; n > maxFields || strings.ContainsAny(line, "\r\n\x00") {
			return nil, nil, errShape
		}
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			if last == "" {
				return nil, nil, errShape
			}
			values := fields[last]
			values[len(values)-1] += line
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, nil, errShape
		}
		last = strings.ToLower(name)
		fields[last] = append(fields[last], value)
	}
	return fields, body, nil
}

// robot says why no person wrote a letter, "" if one may have (RFC 3834, 2).
func robot(fields map[string][]string) string {
	value := func(name string) string { return strings.ToLower(strings.TrimSpace(strings.Join(fields[name], " "))) }
	auto, _, _ := strings.Cut(value("auto-submitted"), ";")
	switch {
	case auto != "" && strings.TrimSpace(auto) != "no":
		return "auto-submitted"
	case slices.Contains([]string{"bulk", "list", "junk", "auto_reply"}, value("precedence")):
		return "precedence"
	case fields["list-id"] != nil || fields["list-unsubscribe"] != nil || fields["list-post"] != nil:
		return "list"
	case fields["x-autoreply"] != nil || fields["x-autorespond"] != nil || fields["x-failed-recipients"] != nil:
		return "robot"
	case strings.HasPrefix(value("content-type"), "multipart/report"):
		return "report"
	}
	return ""
}

// hash names a letter.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// canonical returns a body as the loosest signature sees it (RFC 6376, 3.4.4):
// whoever changes only what is not signed makes no other letter.
func canonical(body []byte) []byte {
	lines := strings.Split(string(body), "\r\n")
	for i, line := range lines {
		blank := func(r rune) bool { return r == ' ' || r == '\t' }
		text := strings.Join(strings.FieldsFunc(line, blank), " ")
		if line != "" && blank(rune(line[0])) {
			text = " " + text
		}
		lines[i] = strings.TrimRight(text, " ")
	}
	return []byte(strings.TrimRight(strings.Join(lines, "\r\n"), "\r\n"))
}

// texts returns the subject of a letter and its first plain text, "" if there is
// none that can be read.
func texts(raw []byte) (subject, text string) {
	e, err := message.Read(bytes.NewReader(raw))
	if e == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return "", ""
	}
	subject, err = e.Header.Text("Subject")
	if err != nil {
		subject = e.Header.Get("Subject")
	}
	parts := 0
	text, _ = plain(e, 0, &parts)
	return valid(subject), valid(text)
}

// plain looks for the first plain text of an entity and what is in it.
func plain(e *message.Entity, depth int, parts *int) (text string, found bool) {
	if *parts++; *parts > maxParts || depth > maxDepth {
		return "", false
	}
	if r := e.MultipartReader(); r != nil {
		for *parts <= maxParts {
			p, err := r.NextPart()
			if p == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
				return "", false
			}
			if text, found := plain(p, depth+1, parts); found {
				return text, true
			}
		}
		return "", false
	}
	kind, _, err := e.Header.ContentType()
	disposition, _, _ := e.Header.ContentDisposition()
	if err != nil || kind != "text/plain" && e.Header.Get("Content-Type") != "" || strings.EqualFold(disposition, "attachment") {
		return "", false
	}
	octets, err := io.ReadAll(io.LimitReader(e.Body, maxText))
	return string(octets), err == nil || len(octets) > 0
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// said returns what the sender wrote: the text, without what it quotes and what
// is below the signature; or the subject, if that leaves nothing.
func said(subject, text string) string {
	text = unquoted(text)
	if text == "" {
		text = strings.TrimSpace(subject)
	}
	return clip(text, maxKept)
}

// clip returns at most n octets of s, and no piece of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.TrimRight(strings.ToValidUTF8(s[:n], ""), " \n")
}

// answers begin the subjects of what is answered or passed on.
var answers = []string{"re", "ré", "rép", "fw", "fwd", "tr", "aw", "wg", "sv", "rv"}

// answer reports whether a subject says that it is that of an answer.
func answer(subject string) bool {
	prefix, _, ok := strings.Cut(subject, ":")
	return ok && slices.Contains(answers, strings.ToLower(strings.TrimSpace(prefix)))
}

// signatures begin the lines that telephones write beneath a text.
var signatures = []string{"envoyé de", "envoyé depuis", "envoyé à partir", "sent from", "get outlook", "télécharger outlook", "obtenir outlook", "kaset eus"}

// unquoted cuts what is quoted, what announces a quotation, and what is below the
// signature.
func unquoted(text string) string {
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\u00a0", " "), "\n")
	var kept []string
	for _, line := range lines {
		trimmed := strings.TrimSpace(line)
		if strings.TrimRight(line, " ") == "--" || rule(trimmed) || signature(trimmed) {
			break
		}
		if strings.HasPrefix(trimmed, ">") {
			kept = unannounced(kept)
			continue
		}
		kept = append(kept, strings.TrimRight(line, " \t"))
	}
	return strings.TrimSpace(strings.Join(kept, "\n"))
}

// rule reports whether a line is drawn above what is quoted below:
// "-----Original Message-----", "________________".
func rule(line string) bool {
	const least = 5
	return len(line) >= 2*least && (strings.HasPrefix(line, "-----") && strings.HasSuffix(line, "-----") || strings.Trim(line, "_") == "")
}

func signature(line string) bool {
	line = strings.ToLower(line)
	return slices.ContainsFunc(signatures, func(s string) bool { return strings.HasPrefix(line, s) })
}

// unannounced drops the lines, three at most, that announce a quotation: "On …
// wrote:", "Le … a écrit :". They end in a colon, and an empty line is above them.
func unannounced(kept []string) []string {
	const most = 3
	end := len(kept)
	for end > 0 && strings.TrimSpace(kept[end-1]) == "" {
		end--
	}
	if end == 0 || !strings.HasSuffix(kept[end-1], ":") {
		return kept
	}
	begin := end
	for begin > 0 && end-begin < most && strings.TrimSpace(kept[begin-1]) != "" {
		begin--
	}
	return kept[:begin]
}
