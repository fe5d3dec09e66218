// Command pre-receive is quire's hook of that name; see package hooks.
package main

import (
	"os"

	"quire/hooks"
)

func main() { os.Exit(hooks.PreReceive(hooks.Called())) }
