// Package users tests who runs what as whom on a machine of several users
// (docs/users.md), through the real programs: who pushes and types commands, in
// which way and with which umask, and which user each job, file and server of it
// then belongs to. It has no code of its own.
package users
