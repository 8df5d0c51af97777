// Package disk is a test without a program: it puts a disk of its own below
// SQLite, lets it fail in the ways in which disks fail, and proves that what was
// acknowledged is there.
//
// The disk lets everything through to real files and remembers every write,
// truncation, deletion and sync. From what it remembers it makes what a crash
// at any moment may have left: all that was synced, and of the rest any sector
// or none, old or new. It can also refuse what it is asked, or say that it has
// synced when it has not.
package disk
