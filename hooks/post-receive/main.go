// Command post-receive is quire's hook of that name; see package hooks.
package main

import (
	"os"

	"quire/hooks"
)

func main() {
	hooks.Later()
	if len(os.Args) >= 2 && os.Args[1] == hooks.CheckArg {
		os.Exit(hooks.Check(hooks.Called(), os.Args[2:]...))
	}
	os.Exit(hooks.PostReceive(hooks.Called()))
}
