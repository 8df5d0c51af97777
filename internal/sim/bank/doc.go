// Package bank is a test without a program: several clients at once move, hold,
// capture, give back and read money through one or two stores on one database,
// while the database, the way to it and the clients themselves fail. What each
// asked and was answered, and when, is a history, of which a checker finds out
// whether one bank that does one thing after the other could have given it.
//
// That is the promise of the store: every answer is as if each Update and each
// View had happened at one moment between its call and its return.
package bank
