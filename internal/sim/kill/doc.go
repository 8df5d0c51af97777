// Package kill is a test without a program: it kills a server at work with
// SIGKILL, or stops it with SIGSTOP for longer than anybody waits, again and
// again, starts it on the same database, and proves that nothing was lost and
// nothing done twice. Beside PostgreSQL there are two servers, and the database
// is killed too.
//
// A server is a process of its own, with its books on disk and a courier. The
// telephone network, the phones and the people at them are in the test, which
// survives: what was acknowledged and what was sent is known there, and is
// compared with what stands in the books.
package kill
