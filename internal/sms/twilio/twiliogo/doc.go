// Package twiliogo holds our verification of Twilio's signatures against
// Twilio's own library. It is a module of its own, so that a library of 27 MB
// stays out of the program's.
package twiliogo
