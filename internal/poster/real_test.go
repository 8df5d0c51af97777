package poster_test

import (
	"bytes"
	"image"
	draw2 "image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"maillon/internal/poster"
)

// Printers and cameras that are not ours: poppler draws the document as a
// printer would, librsvg the picture as a browser, and zbar looks at each poster
// and sticker as a phone would. What it reads is the address, to the letter.
func TestAnyPhoneReadsTheCode(t *testing.T) {
	real(t)
	for _, size := range poster.Sizes() {
		t.Run(size.Name, func(t *testing.T) { looksAt(t, honey(), size) })
	}
	t.Run("open price", func(t *testing.T) { looksAt(t, open(), poster.Sizes()[0]) })
}

func looksAt(t *testing.T, p poster.Poster, size poster.Size) {
	t.Helper()
	dir, s := t.TempDir(), draw(t, p, size)
	document, picture := filepath.Join(dir, "a.pdf"), filepath.Join(dir, "a.svg")
	write(t, document, pdf(t, s))
	write(t, picture, svg(t, s))
	run(t, "pdftoppm", "-r", "150", "-gray", "-png", "-singlefile", document, filepath.Join(dir, "pdf"))
	run(t, "rsvg-convert", "--dpi-x", "150", "--dpi-y", "150", "-o", filepath.Join(dir, "svg.png"), picture)
	for _, image := range []string{"pdf", "svg"} {
		shots := cut(t, filepath.Join(dir, image+".png"), size)
		seen := strings.Fields(run(t, "zbarimg", append([]string{"--nodbus", "-q", "--raw", "-Sdisable", "-Sqrcode.enable"}, shots...)...))
		if len(seen) != size.Count() {
			t.Errorf("%s: zbar sees %d codes, want %d", image, len(seen), size.Count())
		}
		for _, url := range seen {
			if url != p.URL {
				t.Errorf("%s: zbar reads %q, want %q", image, url, p.URL)
			}
		}
	}
}

// cut cuts the image of a sheet where scissors would, and returns the pieces.
func cut(t *testing.T, file string, size poster.Size) (pieces []string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	across, down := size.Grid()
	wide, tall := whole.Bounds().Dx()/across, whole.Bounds().Dy()/down
	for n := range across * down {
		piece := image.NewGray(image.Rect(0, 0, wide, tall))
		draw2.Draw(piece, piece.Bounds(), whole, image.Pt(n%across*wide, n/across*tall), draw2.Src)
		var out bytes.Buffer
		if err := png.Encode(&out, piece); err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, file+strconv.Itoa(n)+".png")
		write(t, pieces[n], out.Bytes())
	}
	return pieces
}

// What goes to the printer has the size of the paper and needs no font.
func TestThePrinterNeedsNoFont(t *testing.T) {
	real(t)
	want := map[string]string{
		"A6": "297.638 x 419.528 pts", "A5": "419.528 x 595.276 pts", "A4": "595.276 x 841.89 pts",
		"58mm": "164.409 x", "3x8": "595.276 x 841.89 pts", "2x4": "595.276 x 841.89 pts",
	}
	for _, size := range poster.Sizes() {
		file := filepath.Join(t.TempDir(), "a.pdf")
		write(t, file, pdf(t, draw(t, honey(), size)))
		info := run(t, "pdfinfo", file)
		for _, part := range []string{"Pages:           1", want[size.Name], "Coopérative Tiznit أركان"} {
			if !strings.Contains(info, part) {
				t.Errorf("%s: no %q in\n%s", size.Name, part, info)
			}
		}
		if fonts := strings.Split(strings.TrimSpace(run(t, "pdffonts", file)), "\n"); len(fonts) != 2 {
			t.Errorf("%s: fonts: %q", size.Name, fonts)
		}
	}
}

func real(t *testing.T) {
	t.Helper()
	if os.Getenv("MAILLON_REAL") != "1" {
		t.Skip("set MAILLON_REAL=1 to look with poppler, librsvg and zbar")
	}
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v (install poppler-utils, librsvg2-bin and zbar-tools)\n%s", name, err, out)
	}
	return string(out)
}
