package otp_test

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"maillon/internal/money"
	"maillon/internal/otp"
)

var update = flag.Bool("update", false, "write testdata/vectors.json")

const (
	k1 = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	k2 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
)

var (
	none    = money.Amount{}
	kudos   = money.Currency{Code: "KUDOS", Decimals: 8}
	netzbon = money.Currency{Code: "NETZBON", Decimals: 2}
	mad     = money.Currency{Code: "MAD", Decimals: 2}
	maillon = money.Currency{Code: "MAILLON"}
)

// taler are the vectors of GNU Taler's own program.
var taler = []struct {
	key   string
	alg   otp.Algorithm
	unix  int64
	price money.Amount
	codes string
}{
	{k1, otp.Plain, 1692000000, none, "92256783 41114336 49196840 84999337 98887641"},
	{k1, otp.Priced, 1692000000, money.New(250_000_000, kudos), "98497178 96099217 24369120 41569724 29526955"},
	{k1, otp.Plain, 1700000000, none, "71735133 74797823 80406058 13661763 97996875"},
	{k1, otp.Priced, 1700000000, money.New(25, money.Currency{Code: "KUDOS", Decimals: 1}), "54607904 43495990 15234769 03533827 08585709"},
	{k2, otp.Plain, 1234567890, none, "66186057 39980357 89005924 38590587 76240500"},
	{k2, otp.Priced, 1700000000, money.New(1, kudos), "17987585 75764956 77678244 43904527 81523468"},
	{k2, otp.Priced, 1700000000, money.New(123_400, netzbon), "88872067 78642659 84426762 17590655 11996810"},
}

func key(t testing.TB, s string) otp.Key {
	t.Helper()
	k, err := otp.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCodesAreGNUTalers(t *testing.T) {
	for _, v := range taler {
		got, err := v.alg.Codes(key(t, v.key), time.Unix(v.unix, 0), 0, v.price)
		if err != nil || strings.Join(got, " ") != v.codes {
			t.Errorf("%s at %d of %v: %v, %v, want %s", v.alg, v.unix, v.price, got, err, v.codes)
		}
	}
}

func TestTheKeyOfAPriceIsGNUTalers(t *testing.T) {
	const want = "819167eeaf8cd758b6819e768f2e8fc739cc7ea7fa05c401728e50e59f1a2eeb10d5e81a0aecab0d279e94e616b6c5b906e13d91bddf7eedeb3ee581a6464c28"
	for _, price := range []money.Amount{money.New(250_000_000, kudos), money.New(250, money.Currency{Code: "KUDOS", Decimals: 2})} {
		if got, err := otp.PricedKey(key(t, k1), price); err != nil || fmt.Sprintf("%x", []byte(got)) != want {
			t.Errorf("key of %v = %x, %v, want %s", price, []byte(got), err, want)
		}
	}
}

func TestKeysAreReadAsGNUTalerReadsThem(t *testing.T) {
	want := key(t, k1)
	for _, s := range []string{strings.ToLower(k1), k1 + "=", k1 + "==", want.Base32()} {
		if got, err := otp.ParseKey(s); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseKey(%q) = %x, %v", s, []byte(got), err)
		}
	}
	for chars := 16; chars <= 103; chars++ { // what fills no octet is left out
		if got, err := otp.ParseKey(strings.Repeat("A", chars)); err != nil || len(got) != chars*5/8 {
			t.Errorf("%d letters are %d octets, %v", chars, len(got), err)
		}
	}
	for _, s := range []string{"", "AAAA", k1 + "===", k1[:20] + "0" + k1[:10], k1 + " ", strings.Repeat("A", 105), "é" + k1} {
		if got, err := otp.ParseKey(s); err == nil {
			t.Errorf("ParseKey(%q) = %x", s, []byte(got))
		}
	}
}

func TestKeysShowThemselvesInNoLog(t *testing.T) {
	k := key(t, k1)
	if s := fmt.Sprintf("%v %s %q %v", k, k, k.LogValue(), k.LogValue()); strings.Contains(s, "72") || strings.Contains(s, "Hello") {
		t.Errorf("a key shows as %s", s)
	}
}

// A code is good for its own price and time, once, and within the window.
func TestACodeIsGoodForItsPriceAndTime(t *testing.T) {
	at := time.Unix(1_795_863_045, 0)
	five, six := money.New(500, mad), money.New(600, mad)
	for _, a := range otp.Algorithms {
		k := otp.NewKey()
		code, err := a.Code(k, otp.StepOf(at), 47, five)
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range []int64{-a.Window(), -1, 0, 1, a.Window()} {
			if m, ok := a.Verify(k, a.Spaced(code), at.Add(time.Duration(off)*otp.Step), five); !ok || m.Step != otp.StepOf(at) {
				t.Errorf("%s: not good %d steps away", a, off)
			}
		}
		for _, off := range []int64{-a.Window() - 1, a.Window() + 1} {
			if _, ok := a.Verify(k, code, at.Add(time.Duration(off)*otp.Step), five); ok {
				t.Errorf("%s: good %d steps away", a, off)
			}
		}
		if _, ok := a.Verify(k, code, at, six); ok != (a == otp.Plain) {
			t.Errorf("%s: of another price, good is %t", a, ok)
		}
		if _, ok := a.Verify(otp.NewKey(), code, at, five); ok {
			t.Errorf("%s: good for another key", a)
		}
		for _, wrong := range []string{"", "4712039", code + "1", "47 12O394", "４７120394"} {
			if _, ok := a.Verify(k, wrong, at, five); ok {
				t.Errorf("%s: %q is good", a, wrong)
			}
		}
	}
}

func TestWhatTalerCannotWriteIsRefused(t *testing.T) {
	for _, price := range []money.Amount{money.New(5, money.Currency{Code: "TWELVELETTER"}), money.New(-1, mad)} {
		if code, err := otp.Priced.Code(key(t, k1), 1, 0, price); err == nil {
			t.Errorf("%v has the code %s", price, code)
		}
	}
	if otp.Priced.Fits(money.Currency{Code: "TWELVELETTER"}) == nil || otp.Numbered.Fits(money.Currency{Code: "TWELVELETTER"}) != nil {
		t.Error("a currency of twelve letters fits codes with a price, or does not fit the others")
	}
}

func TestACodeIsLetThroughOnce(t *testing.T) {
	var m otp.Memory
	mark := otp.Mark{Step: 7, Code: "47120394"}
	if !m.Use(mark) || m.Use(mark) {
		t.Error("the same code was let through twice, or never")
	}
	if !m.Use(otp.Mark{Step: 8, Code: "47120394"}) || mark.Number() != "47" {
		t.Error("the number 47 of another step is refused")
	}
	m.Forget(8)
	if len(m.Used) != 1 {
		t.Errorf("%d codes are kept, want that of step 8", len(m.Used))
	}
}

func TestAMemoryDoesNotGrowForEver(t *testing.T) {
	var m otp.Memory
	for n := range int64(otp.MaxUsed + 10) {
		m.Use(otp.Mark{Step: n, Code: "47120394"})
	}
	if len(m.Used) != otp.MaxUsed || m.Use(otp.Mark{Step: otp.MaxUsed + 9, Code: "47120394"}) {
		t.Errorf("%d codes are kept, or the last is forgotten", len(m.Used))
	}
}

func TestAnAuthenticatorReadsTheLink(t *testing.T) {
	uri, err := otp.URI(key(t, k1), "Maillon", "Miel & pain")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"otpauth://totp/Maillon:Miel%20&%20pain?", "secret=" + k1, "digits=8", "period=30", "algorithm=SHA1", "issuer=Maillon"} {
		if !strings.Contains(uri, want) {
			t.Errorf("the link %s lacks %s", uri, want)
		}
	}
}

// Debian's oathtool stands for all authenticators.
func TestAnAuthenticatorHasTheSameCode(t *testing.T) {
	tool, err := exec.LookPath("oathtool")
	if err != nil {
		if os.Getenv("MAILLON_REAL") != "" {
			t.Fatal("oathtool is missing: apt-get install oathtool")
		}
		t.Skip("oathtool is missing")
	}
	k, at := key(t, k1), time.Now()
	out, err := exec.Command(tool, "--totp", "--digits=8", "--base32", "--now="+at.UTC().Format("2006-01-02 15:04:05 UTC"), k1).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if m, ok := otp.Plain.Verify(k, string(out), at, none); !ok || m.Step != otp.StepOf(at) {
		t.Errorf("oathtool says %s: refused", out)
	}
	code, err := otp.Plain.Code(k, otp.StepOf(at), 0, none)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "--totp", "--digits=8", "--base32", "--window=2", "--now="+at.Add(-time.Minute).UTC().Format("2006-01-02 15:04:05 UTC"), k1, code).CombinedOutput(); err != nil {
		t.Errorf("oathtool refuses %s: %s", code, out)
	}
}

// A vector is one line of testdata/vectors.json, for programs in any language.
type vector struct {
	Algorithm otp.Algorithm `json:"algorithm"`
	Key       []byte        `json:"key"`
	Base32    string        `json:"key_base32"`
	Unix      int64         `json:"unix"`
	Step      int64         `json:"step"`
	Number    string        `json:"nn"`
	Currency  string        `json:"currency"`
	Decimals  uint8         `json:"decimals"`
	Amount    int64         `json:"amount"`
	Price     string        `json:"price"`
	Code      string        `json:"code"`
	Window    []string      `json:"window"` // the codes of all steps that are let through at this time, the oldest first
}

type vectors struct {
	Meaning string   `json:"meaning"`
	Vectors []vector `json:"vectors"`
}

func writtenVectors(t *testing.T) vectors {
	t.Helper()
	all := vectors{Meaning: "docs/protocol/stall.md"}
	add := func(a otp.Algorithm, k otp.Key, unix int64, number int, price money.Amount) {
		v := vector{
			Algorithm: a, Key: k, Base32: k.Base32(), Unix: unix, Step: unix / 30,
			Currency: price.Currency().Code, Decimals: price.Currency().Decimals, Amount: price.Minor(),
		}
		if a != otp.Plain {
			v.Price = otp.Price(price)
		}
		if a == otp.Numbered {
			v.Number = fmt.Sprintf("%02d", number)
		}
		var err error
		if v.Code, err = a.Code(k, v.Step, number, price); err == nil {
			v.Window, err = a.Codes(k, time.Unix(unix, 0), number, price)
		}
		if err != nil {
			t.Fatal(err)
		}
		all.Vectors = append(all.Vectors, v)
	}
	for _, v := range taler {
		add(v.alg, key(t, v.key), v.unix, 0, v.price)
	}
	long, err := base64.StdEncoding.DecodeString("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if err != nil {
		t.Fatal(err)
	}
	for n, price := range []money.Amount{
		money.New(500, mad), money.New(5, mad), money.New(100_000, mad), money.New(50, maillon), money.New(1, money.Currency{Code: "HEURE", Decimals: 2}),
		money.New(123_456_789, money.Currency{Code: "MAIL", Decimals: 6}),
	} {
		for _, k := range []otp.Key{key(t, k1), long} {
			for _, unix := range []int64{1_700_000_000, 1_795_863_059, 1_795_863_060} {
				add(otp.Numbered, k, unix, []int{0, 7, 47, 99}[(n+int(unix))%4], price)
			}
		}
	}
	return all
}

func TestVectorsForOtherProgramsAreOurCodes(t *testing.T) {
	const file = "testdata/vectors.json"
	want := writtenVectors(t)
	if *update {
		text, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got vectors
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is not what codes are", file)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("47 120394", int64(1_700_000_000), int64(500), "JBSWY3DPEHPK3PXP")
	f.Fuzz(func(t *testing.T, code string, unix, minor int64, secret string) {
		k, err := otp.ParseKey(secret)
		if err != nil {
			return
		}
		if again, err := otp.ParseKey(k.Base32()); err != nil || !reflect.DeepEqual(again, k) {
			t.Fatalf("%q reads back as %x, %v", secret, []byte(again), err)
		}
		for _, a := range otp.Algorithms {
			price := money.New(minor, mad)
			m, ok := a.Verify(k, code, time.Unix(unix, 0), price)
			if !ok {
				continue
			}
			number := int(m.Code[0]-'0')*10 + int(m.Code[1]-'0')
			if want, err := a.Code(k, m.Step, number, price); err != nil || want != m.Code {
				t.Errorf("%s: %q is good, and the code is %s, %v", a, code, want, err)
			}
		}
	})
}
