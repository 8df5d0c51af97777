// Maillon is money by SMS, for an association and its members.
package main

import (
	"os"

	"maillon/internal/cli"
)

func main() {
	os.Exit(cli.Main())
}
