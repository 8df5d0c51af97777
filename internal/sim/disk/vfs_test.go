package disk_test

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// A stub is what SQLite holds as an open file: our functions, which file it is,
// and behind it the file of the system's own VFS.
type stub struct {
	methods uintptr
	number  uintptr
}

const stubSize = unsafe.Sizeof(stub{})

// The VFS of this process, and the one of the system that it stands before.
// SQLite keeps their addresses, which in Go only a global may give away.
var (
	below   uintptr
	above   sqlite3.Tsqlite3_vfs
	methods sqlite3.Tsqlite3_io_methods
	vfsName = [...]byte{'d', 'i', 's', 'k', 0}
	numbers atomic.Uintptr
	handles sync.Map // number → *handle
	disks   sync.Map // folder → *Disk
)

// install makes every database of this process be opened through this VFS.
func install() {
	tls := libc.NewTLS()
	below = sqlite3.Xsqlite3_vfs_find(tls, 0)
	above = *at[sqlite3.Tsqlite3_vfs](below)
	above.FzName = uintptr(unsafe.Pointer(&vfsName))
	above.FpNext = 0
	above.FszOsFile += int32(stubSize)
	above.FxOpen = address(xOpen)
	above.FxDelete = address(xDelete)
	methods = sqlite3.Tsqlite3_io_methods{
		FiVersion: 2, // without reading through memory that the system maps
		FxClose:   address(xClose), FxRead: address(xRead), FxWrite: address(xWrite), FxTruncate: address(xTruncate),
		FxSync: address(xSync), FxFileSize: address(xFileSize), FxLock: address(xLock), FxUnlock: address(xUnlock),
		FxCheckReservedLock: address(xCheckReservedLock), FxFileControl: address(xFileControl), FxSectorSize: address(xSectorSize),
		FxDeviceCharacteristics: address(xDeviceCharacteristics), FxShmMap: address(xShmMap), FxShmLock: address(xShmLock),
		FxShmBarrier: address(xShmBarrier), FxShmUnmap: address(xShmUnmap),
	}
	if rc := sqlite3.Xsqlite3_vfs_register(tls, uintptr(unsafe.Pointer(&above)), 1); rc != sqlite3.SQLITE_OK {
		panic("the VFS was not registered")
	}
}

// at returns what stands at an address of SQLite's memory, which is none of Go's.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// address returns a function as SQLite, translated from C, holds it.
func address[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// function is the way back.
func function[F any](p uintptr) (f F) { *(*uintptr)(unsafe.Pointer(&f)) = p; return f }

// real returns the file of the system behind one of ours, and its functions.
func real(file uintptr) (uintptr, *sqlite3.Tsqlite3_io_methods) {
	r := file + stubSize
	return r, at[sqlite3.Tsqlite3_io_methods](at[sqlite3.Tsqlite3_file](r).FpMethods)
}

func handleOf(file uintptr) *handle {
	h, _ := handles.Load(at[stub](file).number)
	return h.(*handle)
}

// A file of SQLite that a crash leaves behind. Others are thrown away.
const lasting = sqlite3.SQLITE_OPEN_MAIN_DB | sqlite3.SQLITE_OPEN_MAIN_JOURNAL | sqlite3.SQLITE_OPEN_WAL

func xOpen(tls *libc.TLS, _, zName, file uintptr, flags int32, outFlags uintptr) int32 {
	type open = func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	*at[stub](file) = stub{}
	do := func() int32 {
		return function[open](at[sqlite3.Tsqlite3_vfs](below).FxOpen)(tls, below, zName, file+stubSize, flags, outFlags)
	}
	h := &handle{}
	var rc int32
	if d, name := diskOf(zName); d != nil && flags&lasting != 0 {
		rc = d.open(h, name, flags, do)
	} else {
		rc = do()
	}
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	n := numbers.Add(1)
	handles.Store(n, h)
	*at[stub](file) = stub{methods: uintptr(unsafe.Pointer(&methods)), number: n}
	return rc
}

func diskOf(zName uintptr) (d *Disk, name string) {
	if zName == 0 {
		return nil, ""
	}
	path := libc.GoString(zName)
	found, ok := disks.Load(filepath.Dir(path))
	if !ok {
		return nil, ""
	}
	return found.(*Disk), filepath.Base(path)
}

func xDelete(tls *libc.TLS, _, zName uintptr, syncFolder int32) int32 {
	type remove = func(*libc.TLS, uintptr, uintptr, int32) int32
	do := func() int32 {
		return function[remove](at[sqlite3.Tsqlite3_vfs](below).FxDelete)(tls, below, zName, 0)
	}
	if d, name := diskOf(zName); d != nil {
		return d.remove(name, syncFolder != 0, do)
	}
	return do()
}

func xClose(tls *libc.TLS, file uintptr) int32 {
	r, m := real(file)
	handles.Delete(at[stub](file).number)
	return function[func(*libc.TLS, uintptr) int32](m.FxClose)(tls, r)
}

func xRead(tls *libc.TLS, file, buffer uintptr, n int32, offset int64) int32 {
	if h := handleOf(file); h.disk != nil {
		if rc := h.disk.read(); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](m.FxRead)(tls, r, buffer, n, offset)
}

func xWrite(tls *libc.TLS, file, buffer uintptr, n int32, offset int64) int32 {
	r, m := real(file)
	do := func(n int) int32 {
		return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](m.FxWrite)(tls, r, buffer, int32(n), offset)
	}
	if h := handleOf(file); h.disk != nil {
		return h.disk.write(h, unsafe.Slice(at[byte](buffer), int(n)), offset, do)
	}
	return do(int(n))
}

func xTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	r, m := real(file)
	do := func() int32 { return function[func(*libc.TLS, uintptr, int64) int32](m.FxTruncate)(tls, r, size) }
	if h := handleOf(file); h.disk != nil {
		return h.disk.truncate(h, size, do)
	}
	return do()
}

// xSync does not trouble the disk of this machine: no crash of this test is one
// of the machine.
func xSync(_ *libc.TLS, file uintptr, _ int32) int32 {
	if h := handleOf(file); h.disk != nil {
		return h.disk.sync(h)
	}
	return sqlite3.SQLITE_OK
}

func xFileSize(tls *libc.TLS, file, size uintptr) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, uintptr) int32](m.FxFileSize)(tls, r, size)
}

func xLock(tls *libc.TLS, file uintptr, lock int32) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, int32) int32](m.FxLock)(tls, r, lock)
}

func xUnlock(tls *libc.TLS, file uintptr, lock int32) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, int32) int32](m.FxUnlock)(tls, r, lock)
}

func xCheckReservedLock(tls *libc.TLS, file, out uintptr) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, uintptr) int32](m.FxCheckReservedLock)(tls, r, out)
}

func xFileControl(tls *libc.TLS, file uintptr, op int32, arg uintptr) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, int32, uintptr) int32](m.FxFileControl)(tls, r, op, arg)
}

func xSectorSize(tls *libc.TLS, file uintptr) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr) int32](m.FxSectorSize)(tls, r)
}

func xDeviceCharacteristics(tls *libc.TLS, file uintptr) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr) int32](m.FxDeviceCharacteristics)(tls, r)
}

func xShmMap(tls *libc.TLS, file uintptr, page, size, extend int32, out uintptr) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, int32, int32, int32, uintptr) int32](m.FxShmMap)(tls, r, page, size, extend, out)
}

func xShmLock(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, int32, int32, int32) int32](m.FxShmLock)(tls, r, offset, n, flags)
}

func xShmBarrier(tls *libc.TLS, file uintptr) {
	r, m := real(file)
	function[func(*libc.TLS, uintptr)](m.FxShmBarrier)(tls, r)
}

func xShmUnmap(tls *libc.TLS, file uintptr, remove int32) int32 {
	r, m := real(file)
	return function[func(*libc.TLS, uintptr, int32) int32](m.FxShmUnmap)(tls, r, remove)
}
