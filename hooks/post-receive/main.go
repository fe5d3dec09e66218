// Command post-receive is quire's hook of that name; see package hooks.
package main

import (
	"os"

	"quire/hooks"
)

func main() {
	hooks.Later()
	os.Exit(hooks.PostReceive(hooks.Called()))
}
