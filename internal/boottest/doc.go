// Package boottest boots a machine with systemd as its init, stops it and cuts its
// power, and tests what becomes of pushes and runs (docs/users.md, "Boot, and
// stopping"). It has no code of its own.
package boottest
