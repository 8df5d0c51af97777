// Package link is where gateways come in: programs and telephones elsewhere that
// carry SMS for the server, each known by a certificate that the server issued
// and that stands in its books, or by signatures if it can present none.
package link
