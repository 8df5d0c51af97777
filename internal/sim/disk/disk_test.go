package disk_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"
)

// What a disk is asked to do.
type request int

const (
	opening request = iota
	reading
	writing
	truncating
	syncing
	deleting
)

// An event is one thing that happened, in the order in which it did.
type event struct {
	is    eventKind
	inode int // of the file it happened to; -1: none
	name  string
	data  []byte
	n     int64 // offset, or size
}

type eventKind int

const (
	created   eventKind = iota // a name in the folder
	removed                    // a name from the folder
	written                    // data at n
	truncated                  // to n
	synced
	unsynced     // a sync that failed: what it was for may be lost although later ones succeed
	folderSynced // the names
	asked        // a letter of number n was sent
	acknowledged // a letter of number n was answered for
	populated    // the members were answered for
)

// A Disk remembers what happened to the files of SQLite in one folder. What a
// sync lies about it forgets to remember.
type Disk struct {
	folder string

	mu     sync.Mutex
	log    []event
	inodes map[string]int // by name, of the files as they are
	count  int            // inodes
	lies   bool           // syncs say yes and do nothing
	fault  func(request) int32
	faults int // answered with an error
}

// A handle is one file that SQLite has opened. Its disk is nil if it is none
// that is watched.
type handle struct {
	disk   *Disk
	inode  int
	folder bool // the first sync is one of the folder too
}

// newDisk watches a folder. What stands in it is on the disk for sure.
func newDisk(t testing.TB, folder string) *Disk {
	t.Helper()
	d := &Disk{folder: folder, inodes: map[string]int{}}
	for name, data := range load(t, folder) {
		d.appear(name, data)
		d.remember(event{is: synced, inode: d.inodes[name]})
	}
	d.remember(event{is: folderSynced, inode: -1})
	disks.Store(folder, d)
	t.Cleanup(func() { disks.Delete(folder) })
	return d
}

// load reads the files of a folder that a crash leaves behind.
func load(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".db-shm" {
			continue // SQLite does not believe it after a crash
		}
		if all[e.Name()], err = os.ReadFile(filepath.Join(folder, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (d *Disk) remember(e event) { d.log = append(d.log, e) }

// appear notes a file that was not there before.
func (d *Disk) appear(name string, data []byte) {
	d.inodes[name] = d.count
	d.count++
	d.remember(event{is: created, inode: d.inodes[name], name: name})
	if len(data) > 0 {
		d.remember(event{is: written, inode: d.inodes[name], data: data})
	}
}

// note puts a fact of the workload among those of the disk.
func (d *Disk) note(is eventKind, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remember(event{is: is, inode: -1, n: int64(n)})
}

// fail asks fault, unless it is nil, for the answer to every request: 0 to do it.
func (d *Disk) fail(fault func(request) int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

func (d *Disk) refuse(r request) int32 {
	if d.fault == nil {
		return sqlite3.SQLITE_OK
	}
	rc := d.fault(r)
	if rc != sqlite3.SQLITE_OK {
		d.faults++
	}
	return rc
}

func (d *Disk) open(h *handle, name string, flags int32, do func() int32) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if rc := d.refuse(opening); rc != sqlite3.SQLITE_OK {
		return sqlite3.SQLITE_CANTOPEN
	}
	data, err := os.ReadFile(filepath.Join(d.folder, name))
	if _, known := d.inodes[name]; err == nil && !known {
		d.appear(name, data) // by whoever opened it before SQLite did
	}
	rc := do()
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	if _, known := d.inodes[name]; !known {
		d.appear(name, nil)
	}
	h.disk, h.inode = d, d.inodes[name]
	// As SQLite's VFS for Unix does: a new log makes its folder be synced.
	h.folder = flags&sqlite3.SQLITE_OPEN_CREATE != 0 && flags&(sqlite3.SQLITE_OPEN_MAIN_JOURNAL|sqlite3.SQLITE_OPEN_WAL) != 0
	return rc
}

func (d *Disk) remove(name string, syncFolder bool, do func() int32) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if rc := d.refuse(deleting); rc != sqlite3.SQLITE_OK {
		return sqlite3.SQLITE_IOERR_DELETE
	}
	rc := do()
	if _, known := d.inodes[name]; rc == sqlite3.SQLITE_OK && known {
		delete(d.inodes, name)
		d.remember(event{is: removed, inode: -1, name: name})
		if syncFolder && !d.lies {
			d.remember(event{is: folderSynced, inode: -1})
		}
	}
	return rc
}

func (d *Disk) read() int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refuse(reading)
}

// write does half of what it refuses: an error says nothing of what is there.
func (d *Disk) write(h *handle, data []byte, offset int64, do func(int) int32) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	refused := d.refuse(writing)
	if refused != sqlite3.SQLITE_OK {
		data = data[:len(data)/2]
	}
	rc := do(len(data))
	if rc == sqlite3.SQLITE_OK {
		d.remember(event{is: written, inode: h.inode, data: append([]byte(nil), data...), n: offset})
	}
	if refused != sqlite3.SQLITE_OK {
		return refused
	}
	return rc
}

func (d *Disk) truncate(h *handle, size int64, do func() int32) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if rc := d.refuse(truncating); rc != sqlite3.SQLITE_OK {
		return sqlite3.SQLITE_IOERR_TRUNCATE
	}
	rc := do()
	if rc == sqlite3.SQLITE_OK {
		d.remember(event{is: truncated, inode: h.inode, n: size})
	}
	return rc
}

func (d *Disk) sync(h *handle) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if rc := d.refuse(syncing); rc != sqlite3.SQLITE_OK {
		d.remember(event{is: unsynced, inode: h.inode})
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	if d.lies {
		return sqlite3.SQLITE_OK
	}
	d.remember(event{is: synced, inode: h.inode})
	if h.folder {
		d.remember(event{is: folderSynced, inode: -1})
		h.folder = false
	}
	return sqlite3.SQLITE_OK
}
