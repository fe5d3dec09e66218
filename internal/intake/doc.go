// Package intake takes in pushes that other users than the runner of a
// repository made (docs/users.md): over the runner's socket ([Server]), or from
// the drop directories of repositories ([Drops]). It runs as the runner, and
// believes of such a push only what the kernel, the file system and the
// repository vouch for.
//
// What it accepts it puts into the runner's spool, from where it is a push like
// any other. It runs nothing.
package intake
