// Package kill is a test without a program: it kills a server at work with
// SIGKILL, again and again, starts it on the same folder, and proves that
// nothing was lost and nothing done twice.
//
// The server is a process of its own, with its books on disk and a courier. The
// telephone network, the phones and the people at them are in the test, which
// survives: what the server acknowledged and what it sent is known there, and
// is compared with what stands in the books.
package kill
