package disk_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// A version is one of the contents that a sector may have after a crash. The
// first of them is what was there for sure; each write since adds one.
type version struct {
	when int // which event
	data *[sectorSize]byte
}

// A sector is dirty if a sync would make its last version the only one.
type sector struct {
	versions []version
	dirty    bool
}

func (s *sector) last() *[sectorSize]byte { return s.versions[len(s.versions)-1].data }

// A length is one of the sizes that a file may have after a crash.
type length struct {
	when int
	size int64
}

type inode struct {
	sectors []*sector
	lengths []length
	changed bool // since the last sync
}

func (f *inode) size() int64 { return f.lengths[len(f.lengths)-1].size }

// An entry is one of the files that a name may stand for after a crash; -1: none.
type entry struct{ when, inode int }

// A state is what may be on the disk, as of some moment.
type state struct {
	now    int
	inodes map[int]*inode
	names  map[string][]entry
}

func newState() *state { return &state{inodes: map[int]*inode{}, names: map[string][]entry{}} }

var nothing [sectorSize]byte

// apply lets one event happen.
func (s *state) apply(e event) {
	s.now++
	switch e.is {
	case created:
		s.inodes[e.inode] = &inode{lengths: []length{{s.now, 0}}}
		s.name(e.name, e.inode)
	case removed:
		s.name(e.name, -1)
	case written:
		s.inodes[e.inode].write(s.now, e.data, e.n)
	case truncated:
		s.inodes[e.inode].truncate(s.now, e.n)
	case synced:
		s.inodes[e.inode].sync()
	case unsynced:
		for _, x := range s.inodes[e.inode].sectors {
			x.dirty = false // the system believes that it is written, and will not try again
		}
	case folderSynced:
		for name, all := range s.names {
			s.names[name] = all[len(all)-1:]
		}
	}
}

func (s *state) name(name string, inode int) {
	if len(s.names[name]) == 0 {
		s.names[name] = []entry{{0, -1}}
	}
	s.names[name] = append(s.names[name], entry{s.now, inode})
}

func (f *inode) write(now int, data []byte, offset int64) {
	f.changed = true
	end := offset + int64(len(data))
	for int64(len(f.sectors))*sectorSize < end {
		f.sectors = append(f.sectors, &sector{versions: []version{{0, &nothing}}})
	}
	for at := offset; at < end; {
		n := at / sectorSize
		x := *f.sectors[n].last()
		at += int64(copy(x[at-n*sectorSize:], data[at-offset:]))
		f.put(n, version{now, &x})
	}
	if end > f.size() {
		f.lengths = append(f.lengths, length{now, end})
	}
}

func (f *inode) put(n int64, v version) {
	x := f.sectors[n]
	x.versions, x.dirty = append(x.versions, v), true
}

func (f *inode) truncate(now int, size int64) {
	f.changed = true
	for n := size / sectorSize; n < int64(len(f.sectors)); n++ {
		x := *f.sectors[n].last()
		clear(x[max(0, size-n*sectorSize):])
		f.put(n, version{now, &x})
	}
	if size != f.size() {
		f.lengths = append(f.lengths, length{now, size})
	}
}

func (f *inode) sync() {
	for _, x := range f.sectors {
		if x.dirty {
			x.versions, x.dirty = x.versions[len(x.versions)-1:], false
		}
	}
	if f.changed {
		f.lengths, f.changed = f.lengths[len(f.lengths)-1:], false
	}
}

// A choice picks one of several versions, given when each came to be.
type choice func(when []int) int

// choices are the ways in which a disk may have ended. cut is one of the events
// whose outcome is open.
var choices = []struct {
	name string
	with func(r *rand.Rand, cut int) choice
}{
	{"nothing unsynced", func(*rand.Rand, int) choice { return func([]int) int { return 0 } }},
	{"everything", func(*rand.Rand, int) choice { return func(when []int) int { return len(when) - 1 } }},
	{"any", func(r *rand.Rand, _ int) choice { return func(when []int) int { return r.IntN(len(when)) } }},
	{"most", func(r *rand.Rand, _ int) choice { return mostly(r, func(when []int) int { return len(when) - 1 }) }},
	{"few", func(r *rand.Rand, _ int) choice { return mostly(r, func([]int) int { return 0 }) }},
	{"in order, the last torn", func(r *rand.Rand, cut int) choice {
		return func(when []int) int {
			n := len(when) - 1
			for n > 0 && (when[n] > cut || when[n] == cut && r.IntN(2) == 0) {
				n--
			}
			return n
		}
	}},
	{"the later alone", func(_ *rand.Rand, cut int) choice {
		return func(when []int) int {
			if n := len(when) - 1; when[n] >= cut {
				return n
			}
			return 0
		}
	}},
	{"all but one", func(_ *rand.Rand, cut int) choice {
		return func(when []int) int {
			n := len(when) - 1
			if n > 0 && when[n] == cut {
				n--
			}
			return n
		}
	}},
}

// oneIn is how rare what is not mostly so is.
const oneIn = 20

func mostly(r *rand.Rand, usual choice) choice {
	return func(when []int) int {
		if r.IntN(oneIn) == 0 {
			return r.IntN(len(when))
		}
		return usual(when)
	}
}

// image makes the files that a crash at this moment may leave.
func (s *state) image(r *rand.Rand, kind int) map[string][]byte {
	open := s.open()
	cut := s.now
	if len(open) > 0 {
		cut = open[r.IntN(len(open))]
	}
	pick := choices[kind].with(r, cut)
	files := map[string][]byte{}
	for _, name := range s.sorted() {
		all := s.names[name]
		n := pick(moments(all, func(e entry) int { return e.when }))
		if f := s.inodes[all[n].inode]; f != nil {
			files[name] = f.image(r, pick)
		}
	}
	if r.IntN(4) == 0 {
		files["books.db-shm"] = litter(r, 32<<10) // what is shared in memory is of no use after a crash
	}
	return files
}

func litter(r *rand.Rand, n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

func (s *state) sorted() []string {
	var names []string
	for name := range s.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// open returns the events whose outcome is open, in order.
func (s *state) open() []int {
	var all []int
	for _, f := range s.inodes {
		for _, x := range f.sectors {
			for _, v := range x.versions[1:] {
				all = append(all, v.when)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func moments[T any](all []T, when func(T) int) []int {
	list := make([]int, len(all))
	for n, x := range all {
		list[n] = when(x)
	}
	return list
}

// image returns the file with one version of each sector. Where it grew, its
// size may have been noted for a part of the way, and where nothing has been
// written into what it grew by there may be anything.
func (f *inode) image(r *rand.Rand, pick choice) []byte {
	n := pick(moments(f.lengths, func(l length) int { return l.when }))
	size := f.lengths[n].size
	if n > 0 && size > f.lengths[n-1].size && r.IntN(4) == 0 {
		size = min(size, f.lengths[n-1].size+sectorSize*r.Int64N((size-f.lengths[n-1].size)/sectorSize+1))
	}
	littered := r.IntN(4) == 0
	data := make([]byte, 0, size+sectorSize)
	for n := int64(0); n*sectorSize < size; n++ {
		if n >= int64(len(f.sectors)) {
			data = append(data, nothing[:]...)
			continue
		}
		x := f.sectors[n]
		v := x.versions[pick(moments(x.versions, func(v version) int { return v.when }))]
		data = append(data, v.data[:]...)
		if littered && v.when == 0 && n*sectorSize >= f.lengths[0].size {
			copy(data[n*sectorSize:], litter(r, sectorSize))
		}
	}
	return data[:size]
}

// lay writes the files of an image into a folder.
func lay(t testing.TB, folder string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
