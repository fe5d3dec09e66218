// Quire-inside is the part of quire that works in containers, by itself: a
// small program for images, where the whole of quire would take longer to
// start. It must be built with CGO_ENABLED=0.
package main

import (
	"os"

	"quire/internal/executor/docker/inside"
)

func main() { os.Exit(inside.Main(os.Args[1:])) }
